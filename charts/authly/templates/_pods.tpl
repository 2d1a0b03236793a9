{{- /* What all Pods have in common: they satisfy the Pod Security Standard "restricted". */ -}}

{{- define "authly.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end }}

{{- /*
(dict "root" $ "token" false "kek" true): the part of a Pod's spec that is not about containers.
Service links are off, for the kubelet would set AUTHLY_… variables for the chart's Services and authly refuses those it
does not know.
*/ -}}
{{- define "authly.podSpec" -}}
{{- $values := .root.Values -}}
automountServiceAccountToken: {{ .token }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with $values.runAsUser }}
  runAsUser: {{ int . }}
  runAsGroup: {{ int . }}
  fsGroup: {{ int . }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- with $values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if or .kek $values.database.caSecret.name }}
volumes:
  {{- if .kek }}
  - name: kek
    secret:
      secretName: {{ include "authly.kekSecret" .root }}
      defaultMode: 0440
      items:
        - key: {{ $values.kek.key }}
          path: kek
        {{- range $values.kek.furtherKeys }}
        - key: {{ . }}
          path: further-{{ . }}
        {{- end }}
  {{- end }}
  {{- with $values.database.caSecret }}
  {{- if .name }}
  - name: database-ca
    secret:
      secretName: {{ .name }}
      items:
        - key: {{ .key }}
          path: {{ .key }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* (dict "root" $ "kek" true): the part of a container that is the same for every role. */ -}}
{{- define "authly.container" -}}
{{- $values := .root.Values -}}
image: {{ include "authly.image" .root | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- if or .kek $values.database.caSecret.name }}
volumeMounts:
  {{- if .kek }}
  - name: kek
    mountPath: /etc/authly/kek
    readOnly: true
  {{- end }}
  {{- if $values.database.caSecret.name }}
  - name: database-ca
    mountPath: /etc/authly/database-ca
    readOnly: true
  {{- end }}
{{- end }}
{{- end }}

{{- define "authly.spread" -}}
{{- $selector := include "authly.selector" . -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
{{- end }}

{{- /*
The process opens its management port at once and waits by itself for the database and its schema: alive, but not ready.
*/ -}}
{{- define "authly.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: management}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: management}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: management}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}
