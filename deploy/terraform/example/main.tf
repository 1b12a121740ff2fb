# A complete use of the module: two tasks in the public subnets of the account's default VPC, which needs no NAT gateway.
# Put the three secrets into SSM and the image into ECR first: docs/deploying/ecs.md. Then:
#   terraform init
#   terraform apply -var region=eu-west-1 -var alarm_email=oncall@example.com
# To use another VPC, give its id and two subnets to the module. In private subnets, leave assign_public_ip out.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

variable "region" {
  description = "The region of everything."
  type        = string
}

variable "alarm_email" {
  description = "Who gets the alarms: AWS asks this address to confirm. Null: nobody."
  type        = string
  default     = null
}

provider "aws" {
  region = var.region
}

data "aws_caller_identity" "this" {}

data "aws_vpc" "default" {
  default = true
}

data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}

locals {
  account    = data.aws_caller_identity.this.account_id
  parameters = "arn:aws:ssm:${var.region}:${local.account}:parameter/countersign"
}

resource "aws_sns_topic" "alarms" {
  name = "countersign-alarms"
}

resource "aws_sns_topic_subscription" "alarms" {
  count = var.alarm_email == null ? 0 : 1

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

module "countersign" {
  source = "../"

  image            = "${local.account}.dkr.ecr.${var.region}.amazonaws.com/countersign:0.2.0"
  policy           = file("${path.module}/policy.yml")
  vpc_id           = data.aws_vpc.default.id
  subnet_ids       = data.aws_subnets.default.ids
  assign_public_ip = true

  secrets = {
    SLACK_BOT_TOKEN       = "${local.parameters}/bot-token"
    SLACK_APP_TOKEN       = "${local.parameters}/app-token"
    COUNTERSIGN_AUDIT_KEY = "${local.parameters}/audit-key"
  }
  # What the targets of the policy need, from `countersign access iam`:
  # more_policies = { identity-center = file("${path.module}/identity-center.json") }

  # Who may verify the trail and make reports:
  # operator_principals = ["arn:aws:iam::${local.account}:role/security"]

  alarm_topic_arn = aws_sns_topic.alarms.arn
}

output "role_arn" {
  value = module.countersign.role_arn
}

output "log_group" {
  value = module.countersign.log_group
}

output "doctor_command" {
  value = module.countersign.doctor_command
}

output "store" {
  value = module.countersign.store
}

output "operator_role_arn" {
  value = module.countersign.operator_role_arn
}
