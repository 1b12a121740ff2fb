# A complete use of the module: two instances in the subnets of a VPC that you have.
#   terraform init && terraform apply
# Put the secrets into SSM first, for example:
#   aws ssm put-parameter --type SecureString --name /countersign/bot-token --value file://bot-token
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

variable "vpc_id" {
  type = string
}

variable "subnet_ids" {
  type = list(string)
}

data "aws_caller_identity" "this" {}

locals {
  parameters = "arn:aws:ssm:eu-west-1:${data.aws_caller_identity.this.account_id}:parameter/countersign"
}

resource "aws_sns_topic" "alarms" {
  name = "countersign-alarms"
}

module "countersign" {
  source = "../"

  image      = "${data.aws_caller_identity.this.account_id}.dkr.ecr.eu-west-1.amazonaws.com/countersign:0.2.0"
  policy     = file("${path.module}/policy.yml")
  vpc_id     = var.vpc_id
  subnet_ids = var.subnet_ids

  secrets = {
    SLACK_BOT_TOKEN       = "${local.parameters}/bot-token"
    SLACK_APP_TOKEN       = "${local.parameters}/app-token"
    COUNTERSIGN_AUDIT_KEY = "${local.parameters}/audit-key"
  }
  alarm_topic_arn = aws_sns_topic.alarms.arn
}

output "role_arn" {
  value = module.countersign.role_arn
}
