{{- /* Who logs in to the database how, and where the passwords and the platform key are. */ -}}

{{- /* (list root user): a connection URL without a password. */ -}}
{{- define "authly.databaseUrl" -}}
{{- $root := index . 0 -}}
{{- $database := $root.Values.database -}}
{{- $host := required "database.host is required: the host of the PostgreSQL server" $database.host -}}
{{- if contains ":" $host -}}{{- $host = printf "[%s]" $host -}}{{- end -}}
{{- printf "postgres://%s@%s:%d/%s?sslmode=%s" (index . 1) $host (int $database.port) $database.name $database.sslMode -}}
{{- if $database.caSecret.name -}}
{{- if not (hasPrefix "verify-" $database.sslMode) -}}
{{- fail "database.caSecret needs database.sslMode verify-ca or verify-full: with any other the authority is not looked at" -}}
{{- end -}}
{{- printf "&sslrootcert=/etc/authly/database-ca/%s" $database.caSecret.key -}}
{{- end -}}
{{- end }}

{{- /* (list root "gateway"): the connection URL of a login role. */ -}}
{{- define "authly.loginUrl" -}}
{{- $user := printf "%s_%s_login" (index . 0).Values.database.name (index . 1) -}}
{{- include "authly.databaseUrl" (list (index . 0) $user) -}}
{{- end }}

{{- define "authly.loginsSecret" -}}
{{- .Values.database.logins.existingSecret | default (printf "%s-database-logins" (include "authly.fullname" .)) -}}
{{- end }}

{{- define "authly.kekSecret" -}}
{{- .Values.kek.existingSecret | default (printf "%s-kek" (include "authly.fullname" .)) -}}
{{- end }}

{{- /*
The data of the generated Secret with the passwords of the login roles, as JSON: what the cluster has, and a new password for
what it lacks. Kept for the rest of the rendering, for each call would make other passwords.
*/ -}}
{{- define "authly.generatedLogins" -}}
{{- if not (hasKey .Values "generatedLogins") -}}
{{- $stored := (lookup "v1" "Secret" .Release.Namespace (include "authly.loginsSecret" .)).data | default dict -}}
{{- $data := dict -}}
{{- range list "server" "gateway" "operator" "jobs" -}}
{{- $key := printf "%s-password" . -}}
{{- $_ := set $data $key (get $stored $key | default (randAlphaNum 32 | b64enc)) -}}
{{- end -}}
{{- $_ := set .Values "generatedLogins" $data -}}
{{- end -}}
{{- .Values.generatedLogins | toJson -}}
{{- end }}

{{- /*
(list root "server" "jobs" …): an annotation that changes with generated passwords, so that the Pods that hold them start anew.
The passwords are random, so their hash tells nothing.
*/ -}}
{{- define "authly.loginsChecksum" -}}
{{- $root := first . -}}
{{- if not $root.Values.database.logins.existingSecret -}}
{{- $logins := include "authly.generatedLogins" $root | fromJson -}}
{{- $held := list -}}
{{- range rest . -}}{{- $held = append $held (get $logins (printf "%s-password" .)) -}}{{- end -}}
checksum/logins: {{ $held | join "," | sha256sum }}
{{- end -}}
{{- end }}

{{- /* (list root "AUTHLY_DATABASE_PASSWORD" "server"): an environment variable with the password of a login role. */ -}}
{{- define "authly.loginPassword" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "authly.loginsSecret" (index . 0) }}
      key: {{ index . 2 }}-password
{{- end }}
