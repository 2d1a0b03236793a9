{{- /*
A role's ServiceAccount, Deployment and PodDisruptionBudget; and its Service, where it listens for requests.

(dict "root" $ "role" "server" "args" (list "--…") "logins" (list "server" "jobs") "kek" true "token" false "serves" true)
The first of `logins` is the role that the process logs in to the database as; "jobs" may come second.
What is no secret is an argument, so that `kubectl describe` shows it; what is one comes by reference.
*/ -}}
{{- define "authly.deployment" -}}
{{- $root := .root -}}
{{- $values := get $root.Values .role -}}
{{- $who := list $root .role -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "authly.metadata" $who | nindent 2 }}
automountServiceAccountToken: false
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "authly.metadata" $who | nindent 2 }}
spec:
  replicas: {{ int $values.replicas }}
  selector:
    matchLabels:
      {{- include "authly.selector" $who | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels:
        {{- include "authly.labels" $who | nindent 8 }}
      {{- with include "authly.loginsChecksum" (prepend .logins $root) }}
      annotations:
        {{- . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "authly.fullname" $root }}-{{ .role }}
      {{- include "authly.podSpec" . | nindent 6 }}
      {{- with $root.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- include "authly.spread" $who | nindent 6 }}
      containers:
        - name: {{ .role }}
          {{- include "authly.container" . | nindent 10 }}
          args:
            - {{ .role }}
            - --log-format=json
            - --log-level={{ $root.Values.logLevel }}
            - --database-url={{ include "authly.loginUrl" (list $root (first .logins)) }}
            {{- if has "jobs" .logins }}
            - --jobs-database-url={{ include "authly.loginUrl" (list $root "jobs") }}
            {{- end }}
            - --management-listen={{ include "authly.listen" (list $root $values.managementPort) }}
            {{- if .serves }}
            - --listen={{ include "authly.listen" (list $root $values.port) }}
            {{- end }}
            {{- if .kek }}
            - --kek-file=/etc/authly/kek/kek
            {{- range $root.Values.kek.furtherKeys }}
            - --further-kek-file=/etc/authly/kek/further-{{ . }}
            {{- end }}
            - --jwks-max-age={{ $root.Values.jwksMaxAge }}
            {{- end }}
            {{- with .args }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          env:
            {{- include "authly.loginPassword" (list $root "AUTHLY_DATABASE_PASSWORD" (first .logins)) | nindent 12 }}
            {{- if has "jobs" .logins }}
            {{- include "authly.loginPassword" (list $root "AUTHLY_JOBS_DATABASE_PASSWORD" "jobs") | nindent 12 }}
            {{- end }}
          ports:
            {{- if .serves }}
            - name: http
              containerPort: {{ int $values.port }}
            {{- end }}
            - name: management
              containerPort: {{ int $values.managementPort }}
          {{- include "authly.probes" $root | nindent 10 }}
          {{- if .serves }}
          # Until all proxies know that this Pod ends, requests still come.
          lifecycle:
            preStop:
              sleep: {seconds: 5}
          {{- end }}
          {{- with $values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "authly.metadata" $who | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "authly.selector" $who | nindent 6 }}
{{- if .serves }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "authly.metadata" $who | nindent 2 }}
  {{- with $values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $values.service.type }}
  selector:
    {{- include "authly.selector" $who | nindent 4 }}
  ports:
    - name: http
      port: {{ int $values.service.port }}
      targetPort: http
{{- end }}
{{- end }}
