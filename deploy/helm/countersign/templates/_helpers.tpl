{{- define "countersign.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* A release that is named after the chart doesn't repeat it. 52 characters leave room for the longest suffix. */}}
{{- define "countersign.fullname" -}}
{{- $name := include "countersign.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "countersign.selectorLabels" -}}
app.kubernetes.io/name: {{ include "countersign.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "countersign.labels" -}}
{{ include "countersign.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "countersign.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "countersign.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "countersign.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "countersign.policy" -}}
{{- default (.Files.Get "files/policy.yml") .Values.policy.content -}}
{{- end -}}

{{- define "countersign.policyName" -}}
{{- default (printf "%s-policy" (include "countersign.fullname" .)) .Values.policy.existingConfigMap -}}
{{- end -}}

{{- define "countersign.isServingApi" -}}
{{- if or .Values.api.enabled (eq .Values.command "broker") -}}true{{- end -}}
{{- end -}}

{{/* Where the API listens and how people reach it, in the words of the process that serves it. */}}
{{- define "countersign.apiSettings" -}}
{{- $listen := printf "0.0.0.0:%v" .Values.api.port -}}
{{- $url := required "api.url: terminals have to know how to reach the API, such as https://countersign.example.com" .Values.api.url -}}
{{- if eq .Values.command "broker" -}}
- name: COUNTERSIGN_BROKER_LISTEN
  value: {{ $listen }}
- name: COUNTERSIGN_BROKER_URL
  value: {{ $url }}
{{- else -}}
- name: COUNTERSIGN_API_LISTEN
  value: {{ $listen }}
- name: COUNTERSIGN_API_URL
  value: {{ $url }}
{{- with .Values.api.brokerUrl }}
- name: COUNTERSIGN_BROKER_URL
  value: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.api.proxies }}
- name: COUNTERSIGN_API_PROXIES
  value: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{/* What the init container and the bot have in common: both see the same settings, secrets and policy. */}}
{{- define "countersign.container" -}}
image: {{ include "countersign.image" . | quote }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
env:
  - name: COUNTERSIGN_POLICY
    value: /etc/countersign/policy.yml
  - name: COUNTERSIGN_METRICS
    value: 0.0.0.0:9464
  {{- if include "countersign.isServingApi" . }}
  {{- include "countersign.apiSettings" . | nindent 2 }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
envFrom:
  - configMapRef:
      name: {{ include "countersign.fullname" . }}-settings
  {{- with .Values.existingSecret }}
  - secretRef:
      name: {{ . }}
  {{- end }}
  {{- with .Values.extraEnvFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - name: policy
    mountPath: /etc/countersign
    readOnly: true
  - name: scratch
    mountPath: /tmp
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}
