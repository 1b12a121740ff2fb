variable "name" {
  description = "The name of everything that is made, and the prefix of the tables."
  type        = string
  default     = "countersign"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "Use 2 to 31 of a-z, 0-9 and -, beginning with a letter."
  }
}

variable "image" {
  description = "The image, with its tag or digest, such as 111122223333.dkr.ecr.eu-west-1.amazonaws.com/countersign:0.2.0."
  type        = string
}

variable "policy" {
  description = "The text of policy.yml: file(\"policy.yml\"). A new text rolls out new instances."
  type        = string

  validation {
    condition     = length(var.policy) > 0 && length(var.policy) <= 32768
    error_message = "The policy is in the task definition, which holds 64 KB. Put a larger one into the image, and set policy_path."
  }
}

variable "policy_path" {
  description = "Where the policy is, if the image has it. Null: it is written from `policy` when a task starts."
  type        = string
  default     = null
}

variable "vpc_id" {
  description = "The VPC of the service."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets with a way out to the internet, in two or more zones. Socket Mode needs no way in."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Give two subnets, in different zones."
  }
}

variable "assign_public_ip" {
  description = "True for public subnets without a NAT gateway. Nothing can connect to it: the security group has no way in."
  type        = bool
  default     = false
}

variable "secrets" {
  description = "ARNs of SSM parameters or Secrets Manager secrets, by the variable that each becomes."
  type        = map(string)

  validation {
    condition = alltrue([
      for name in ["SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "COUNTERSIGN_AUDIT_KEY"] : contains(keys(var.secrets), name)
    ])
    error_message = "Give at least SLACK_BOT_TOKEN, SLACK_APP_TOKEN and COUNTERSIGN_AUDIT_KEY."
  }
}

variable "settings" {
  description = "More settings, by name, such as COUNTERSIGN_RETENTION. Nothing secret: anybody who may read the task definition sees them."
  type        = map(string)
  default     = {}
}

variable "instances" {
  description = "How many run at once. With two, a zone may fail."
  type        = number
  default     = 2
}

variable "cpu" {
  description = "Processor of an instance, in 1/1024: 256 is a quarter."
  type        = number
  default     = 256
}

variable "memory" {
  description = "Memory of an instance, in MiB."
  type        = number
  default     = 512
}

variable "arm64" {
  description = "True for Graviton, which costs less; the image needs that platform."
  type        = bool
  default     = true
}

variable "more_policies" {
  description = "JSON policies for the bot's role: what `countersign access iam` and `countersign aws server-policy` print."
  type        = map(string)
  default     = {}
}

variable "alarm_topic_arn" {
  description = "An SNS topic for alarms. Null: the alarms exist, and notify nobody."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "How long the log is kept. The audit trail isn't there; it is kept in its table."
  type        = number
  default     = 90
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}
