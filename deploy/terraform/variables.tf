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
  description = "The image, with its tag or digest: 111122223333.dkr.ecr.eu-west-1.amazonaws.com/countersign:0.2.0."
  type        = string

  validation {
    condition     = can(regex("(:[^/:@]+|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "Name a version, by its tag or digest: with `latest`, two tasks may run different ones."
  }
}

variable "policy" {
  description = "The text of policy.yml: file(\"policy.yml\"). A new text rolls out new tasks. Null if the image has the policy."
  type        = string
  default     = null

  validation {
    condition     = var.policy == null ? true : length(var.policy) > 0 && length(var.policy) <= 32768
    error_message = "The policy is in the task definition, which holds 64 KB. Put a larger one into the image, and set policy_path."
  }
}

variable "policy_path" {
  description = "Where the policy is in the image. Set this or `policy`."
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
  description = "True in public subnets, so that no NAT gateway is needed. Nothing can connect to the address: there is no rule for it."
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

  validation {
    condition = alltrue([
      for arn in values(var.secrets) : can(regex("^arn:[a-z-]+:(ssm:[a-z0-9-]+:[0-9]{12}:parameter/|secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:).", arn))
    ])
    error_message = "Give the whole ARN of a parameter or a secret, not its name and not its value."
  }
}

variable "secrets_kms_key_arns" {
  description = "Your own KMS keys that encrypt the secrets. None are needed for keys of AWS: aws/ssm, aws/secretsmanager."
  type        = list(string)
  default     = []
}

variable "settings" {
  description = "More settings, by name, such as COUNTERSIGN_RETENTION. Nothing secret: everybody who may read the task definition sees them."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name in keys(var.settings) : !can(regex("TOKEN$|SECRET$|PASSWORD$|HEADERS$|_KEY$|WEBHOOK_URL$", name))
    ])
    error_message = "This is a secret: put it into SSM or Secrets Manager, and its ARN into secrets."
  }
}

variable "more_policies" {
  description = "JSON policies for the bot's role, by name: what `countersign access iam` and `countersign aws server-policy` print."
  type        = map(string)
  default     = {}
}

variable "instances" {
  description = "How many tasks run at once. With two, a zone may fail."
  type        = number
  default     = 2

  validation {
    condition     = var.instances >= 1
    error_message = "With no task, no access ends."
  }
}

variable "cpu" {
  description = "Processor of a task, in 1/1024: 256 is a quarter."
  type        = number
  default     = 256

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.cpu)
    error_message = "Fargate has 256, 512, 1024, 2048 and 4096."
  }
}

variable "memory" {
  description = "Memory of a task, in MiB."
  type        = number
  default     = 512

  validation {
    condition     = var.memory >= 512
    error_message = "Fargate begins at 512."
  }
}

variable "arm64" {
  description = "True for Graviton, which costs less; the image needs that platform."
  type        = bool
  default     = true
}

variable "api" {
  description = "The API for terminals, behind a load balancer of yours: its URL, a target group (type ip, HTTP, port 8787, health check /v1/health), the balancer's security group and its networks. Null: no API."
  type = object({
    url               = string
    target_group_arn  = string
    security_group_id = string
    networks          = list(string)
  })
  default = null
}

variable "broker" {
  description = "The broker, as a service with a role of its own, behind a load balancer like the API: target group on port 3001, secrets SLACK_BOT_TOKEN and COUNTERSIGN_AUDIT_KEY, and in policies what `countersign aws broker-policy` prints. Null: the bot issues credentials."
  type = object({
    url               = string
    target_group_arn  = string
    security_group_id = string
    networks          = list(string)
    secrets           = map(string)
    policies          = optional(map(string), {})
  })
  default = null

  validation {
    condition = var.broker == null ? true : alltrue([
      for name in ["SLACK_BOT_TOKEN", "COUNTERSIGN_AUDIT_KEY"] : contains(keys(var.broker.secrets), name)
    ])
    error_message = "Give the broker's SLACK_BOT_TOKEN, of an app of its own, and COUNTERSIGN_AUDIT_KEY."
  }
}

variable "operator_principals" {
  description = "ARNs of who may become the operator: verify the trail, make reports, check the tables. Empty: no role, only the policy."
  type        = list(string)
  default     = []
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

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch has 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 days, and some longer times."
  }
}

variable "tags" {
  description = "Tags for everything."
  type        = map(string)
  default     = {}
}
