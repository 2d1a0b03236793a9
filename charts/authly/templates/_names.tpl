{{- /* Names and labels. A name leaves room for the longest suffix, so that it stays below 63 characters. */ -}}

{{- define "authly.fullname" -}}
{{- if contains "authly" .Release.Name -}}
{{- .Release.Name | trunc 33 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-authly" (.Release.Name | trunc 26 | trimSuffix "-") -}}
{{- end -}}
{{- end }}

{{- /* The name of a cluster-scoped object of this release: (list root "operator"). */ -}}
{{- define "authly.clusterName" -}}
{{- $root := index . 0 -}}
{{- printf "%s-%s:%s" (include "authly.fullname" $root) (index . 1) $root.Release.Namespace -}}
{{- end }}

{{- define "authly.sharedLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: authly
{{- end }}

{{- /* (list root "server") */ -}}
{{- define "authly.labels" -}}
{{ include "authly.selector" . }}
{{ include "authly.sharedLabels" (index . 0) }}
{{- end }}

{{- /* Never changes: the selector of a Deployment is immutable. */ -}}
{{- define "authly.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* (list root role): name, namespace and labels of a role's objects. */ -}}
{{- define "authly.metadata" -}}
name: {{ include "authly.fullname" (index . 0) }}-{{ index . 1 }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "authly.labels" . | nindent 2 }}
{{- end }}

{{- /* (list root port): an address to listen on. */ -}}
{{- define "authly.listen" -}}
{{- $address := (index . 0).Values.listenAddress -}}
{{- if contains ":" $address -}}{{- $address = printf "[%s]" $address -}}{{- end -}}
{{- printf "%s:%d" $address (index . 1 | int) -}}
{{- end }}
