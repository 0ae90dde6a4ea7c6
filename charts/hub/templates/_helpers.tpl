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

{{/* What operator and store pods have in common: priority, pull secrets, placement. Takes (list root part). */}}
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
