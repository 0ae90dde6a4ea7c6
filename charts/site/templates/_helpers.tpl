{{/* Labels of every object. */}}
{{- define "site.labels" -}}
app.kubernetes.io/name: wardround
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "site.workspaceClaim" -}}
{{ .Values.workspace.existingClaim | default "workspace" }}
{{- end }}

{{- define "site.stateClaim" -}}
{{- $name := .Values.state.existingClaim | default "state" }}
{{- if eq $name (include "site.workspaceClaim" .) }}
{{- fail (printf "state.existingClaim and workspace.existingClaim are both %s. The courier mounts the workspace, and must not mount the state, which holds keys of splits. Use two claims." $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{/* The claims that Wardround's own pods write. No Dataset may use one. */}}
{{- define "site.ownClaims" -}}
{{- $claims := list (include "site.workspaceClaim" .) (include "site.stateClaim" .) }}
{{- with include "site.modelsClaim" . }}
{{- $claims = append $claims . }}
{{- end }}
{{- toJson $claims }}
{{- end }}

{{/* The claim of models, or nothing. */}}
{{- define "site.modelsClaim" -}}
{{- $name := .Values.models.claimName }}
{{- if and $name (has $name (list (include "site.workspaceClaim" .) (include "site.stateClaim" .))) }}
{{- fail (printf "models.claimName is %s, which is the claim of the workspace or of the state. Only the courier may write models: name another claim." $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{/* The claims that the courier mounts. It writes models only if the hospital takes deliveries. */}}
{{- define "site.courierClaims" -}}
{{- $claims := list (include "site.workspaceClaim" .) }}
{{- if and (include "site.modelsClaim" .) (has "Deliver" .Values.policy.tasks) }}
{{- $claims = append $claims (include "site.modelsClaim" .) }}
{{- end }}
{{- toJson $claims }}
{{- end }}

{{/* Fails if a claim that Predictions may name is one of our own, or is for rows and for answers. */}}
{{- define "site.checkClaims" -}}
{{- $own := list (include "site.workspaceClaim" .) (include "site.stateClaim" .) }}
{{- $models := include "site.modelsClaim" . }}
{{- range $field, $names := dict "rowsClaimNames" .Values.predictions.rowsClaimNames "answersClaimNames" .Values.predictions.answersClaimNames }}
{{- range $name := $names }}
{{- if or (has $name $own) (eq $name $models) }}
{{- fail (printf "predictions.%s lists %s, the claim of the workspace, the state or the models. Remove it from the list." $field $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name := .Values.predictions.answersClaimNames }}
{{- if has $name $.Values.predictions.rowsClaimNames }}
{{- fail (printf "predictions lists %s both for rows and for answers. A pod may write answers, and must not write rows. Use two claims." $name) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Fails if a claim of ours has patient data of this namespace. The policies own-claims and own-prediction-claims refuse that too, but
at a first installation Helm makes them after the Deployments and the Site. `helm template` asks no cluster, so it sees no object.
*/}}
{{- define "site.checkPatientData" -}}
{{- $named := dict "workspace.existingClaim" (include "site.workspaceClaim" .) "state.existingClaim" (include "site.stateClaim" .)
      "models.claimName" (include "site.modelsClaim" .) }}
{{- if .Capabilities.APIVersions.Has "wardround.io/v1alpha1/Dataset" }}
{{- range (lookup "wardround.io/v1alpha1" "Dataset" .Release.Namespace "").items }}
{{- include "site.checkOwner" (dict "named" $named "claims" (list .spec.claimName) "owner" (printf "the patient data of Dataset %s" .metadata.name)) }}
{{- end }}
{{- end }}
{{- if .Capabilities.APIVersions.Has "wardround.io/v1alpha1/Prediction" }}
{{- range (lookup "wardround.io/v1alpha1" "Prediction" .Release.Namespace "").items }}
{{- include "site.checkOwner" (dict "named" $named "claims" (list .spec.rows.claimName .spec.answer.claimName) "owner" (printf "patient data of Prediction %s" .metadata.name)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes a dict: named (claims of the chart by the value that names them), claims and owner of the patient data. */}}
{{- define "site.checkOwner" -}}
{{- $owner := .owner }}
{{- $claims := .claims }}
{{- range $value, $claim := .named }}
{{- if has $claim $claims }}
{{- fail (printf "The claim %s has %s. So it may not be the workspace, the state or the models. Write the name of another claim into %s of the values." $claim $owner $value) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Strict or nothing. Kubernetes serves the field from 1.33. Only from 1.36 does it refuse a container runtime without support.
*/}}
{{- define "site.supplementalGroupsPolicy" -}}
{{- with .Values.workload.supplementalGroupsPolicy }}
{{- if eq . "Strict" }}Strict{{ end }}
{{- else }}
{{- if semverCompare ">=1.36-0" .Capabilities.KubeVersion.Version }}Strict{{ end }}
{{- end }}
{{- end }}

{{- define "site.operatorUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:site-operator
{{- end }}

{{- define "site.courierUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:courier
{{- end }}

{{/* The annotations by which Multus puts a pod into another network, in CEL. */}}
{{- define "site.networkAnnotations" -}}
['k8s.v1.cni.cncf.io/networks', 'v1.multus-cni.io/default-network']
{{- end }}

{{/* Whether a request comes from the account of a process, in CEL. People have other accounts. */}}
{{- define "site.byProcess" -}}
('system:serviceaccounts' in request.userInfo.?groups.orValue([]) || request.userInfo.username.startsWith('system:serviceaccount:'))
{{- end }}

{{/*
Whether a request only ends a deletion, in CEL: it removes a finalizer, for example of the garbage collector. If the API server
refused it, the object would stay.
*/}}
{{- define "site.endsADeletion" -}}
(request.operation == 'UPDATE' && has(oldObject.metadata.deletionTimestamp) && object.spec == oldObject.spec)
{{- end }}

{{/*
The rule that an object of this kind gets no finalizers and no owners. Takes the kind. The garbage collector deletes an object
whose owners are gone, also for a user without the right to delete it. The API server itself writes the finalizers of a deletion
(foregroundDeletion, orphan), and shows them to no policy. To remove finalizers and owners is admitted, so that a deletion ends.
*/}}
{{- define "site.heldByNothing" -}}
- expression: >-
    object.metadata.?finalizers.orValue([]).all(each, each in oldObject.?metadata.?finalizers.orValue([])) &&
    (object.metadata.?ownerReferences.orValue([]).size() == 0 ||
    object.metadata.?ownerReferences == oldObject.?metadata.?ownerReferences)
  message: >-
    {{ . }}s get no finalizers and no ownerReferences: nothing may delete one, or hold up a deletion, without the right to delete
    it. Leave both fields as they are, or remove them.
{{- end }}

{{/*
The text of policy.parameters in the environment of prepare. wardround.api.parameters_text writes the same text from the
Site. CEL limits the length of an expression, in which each character may be an escape, so the text's length is limited.
*/}}
{{- define "site.allowedParameters" -}}
{{- $allowed := dict }}
{{- range .Values.policy.parameters }}
{{- $bounds := omit . "name" }}
{{- if not .required }}
{{- $bounds = omit $bounds "required" }}
{{- end }}
{{- with .enum }}
{{- $_ := set $bounds "enum" (sortAlpha .) }}
{{- end }}
{{- $_ := set $allowed .name $bounds }}
{{- end }}
{{- $text := toJson $allowed }}
{{- if gt (len $text) 32768 }}
{{- fail (printf "policy.parameters is %d bytes as text. A training pod gets it in an environment variable of at most 32768 bytes: list fewer parameters, or fewer values of enum." (len $text)) }}
{{- end }}
{{- $text }}
{{- end }}

{{- define "site.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "site.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The common part of operator and courier pods: priority, pull secrets, placement. Takes (list root part). */}}
{{- define "site.placement" -}}
{{- $root := index . 0 }}{{ $part := index . 1 }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $part.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{/* Ports and probes of both processes. */}}
{{- define "site.health" -}}
ports:
  - {name: health, containerPort: 8080}
startupProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 20
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}
