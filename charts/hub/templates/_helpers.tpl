{{/* Labels of every object. */}}
{{- define "hub.labels" -}}
app.kubernetes.io/name: wardround
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Cluster-scoped objects carry the namespace in their names, and the policies name its accounts. */}}
{{- define "hub.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:hub-operator
{{- end }}

{{/* Whether a request comes from the hub operator, or from the account of a hospital, in CEL. */}}
{{- define "hub.byOwnAccount" -}}
(request.userInfo.username == '{{ include "hub.user" . }}' || (request.userInfo.username.startsWith('system:serviceaccount:') && request.userInfo.username.endsWith(':site')))
{{- end }}

{{/* The form of UIDs of every API server, as a regular expression. */}}
{{- define "hub.uid" -}}
[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}
{{- end }}

{{/*
Rules about labels, annotations and owners. Helm reads its releases from all Secrets or ConfigMaps with the label `owner: helm`,
whatever their names are. Other programs also choose objects by labels, or copy those with an annotation. The garbage collector
deletes an object whose owners are gone, also one that the hub operator itself may not delete.
*/}}
{{- define "hub.ownNotes" -}}
- expression: >-
    request.operation == 'DELETE' || (object.metadata.?labels.orValue({}).all(key, key.startsWith('wardround.io/') ||
    oldObject.?metadata.?labels[?key] == object.metadata.?labels[?key]) &&
    object.metadata.?annotations.orValue({}).all(key, key.startsWith('wardround.io/') ||
    oldObject.?metadata.?annotations[?key] == object.metadata.?annotations[?key]))
  message: >-
    The hub operator may write only labels and annotations whose names begin with wardround.io/, because other programs act on
    other labels and annotations. Remove the others.
- expression: >-
    request.operation == 'DELETE' || object.metadata.?ownerReferences == oldObject.?metadata.?ownerReferences
  message: The hub operator may not write the owners of a Secret or ConfigMap. Leave ownerReferences as they are.
{{- end }}

{{- define "hub.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "hub.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The common part of operator and store pods: priority, pull secrets, placement. Takes (list root part). */}}
{{- define "hub.placement" -}}
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

{{/*
The common part of the policies about a hospital's writes. An object's managedFields list each manager and its fields, and
a request may bring such a list. If there are more than ten managers, the API server combines the oldest under the name
ancient-changes.
*/}}
{{- define "hub.hospital" -}}
- name: bySite
  expression: request.userInfo.username == 'system:serviceaccount:' + request.namespace + ':site'
- name: others
  expression: object.metadata.?managedFields.orValue([]).filter(entry, entry.?manager.orValue('') != 'wardround-site')
- name: othersBefore
  expression: oldObject.?metadata.?managedFields.orValue([]).filter(entry, entry.?manager.orValue('') != 'wardround-site')
- name: own
  expression: object.metadata.?managedFields.orValue([]).filter(entry, entry.?manager.orValue('') == 'wardround-site')
{{- end }}

{{/* Takes the largest number of characters in the managedFields of wardround-site. */}}
{{- define "hub.hospitalWrites" -}}
- expression: "!variables.bySite || request.options.?fieldManager.orValue('') == 'wardround-site'"
  message: A hospital's account has to write as the field manager wardround-site.
- expression: >-
    !variables.bySite || (variables.others.all(entry, entry.?manager.orValue('') == 'ancient-changes' ||
    variables.othersBefore.exists(before, before.?manager == entry.?manager)) &&
    '%s'.format([variables.others]).size() <= '%s'.format([variables.othersBefore]).size())
  message: A hospital's account may add no field manager but wardround-site, and may not make the entry of another one longer.
- expression: "!variables.bySite || '%s'.format([variables.own]).size() <= {{ . }}"
  message: The entry of wardround-site in metadata.managedFields would be longer than a hospital's account needs.
{{- end }}
