# Countersign on ECS Fargate, in Socket Mode: no load balancer, no open port. README.md has the inputs and outputs.

data "aws_caller_identity" "this" {}
data "aws_region" "this" {}
data "aws_partition" "this" {}

locals {
  region    = data.aws_region.this.region
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition

  # What runs. The names of roles, services and log streams follow from it.
  processes = toset(concat(["bot"], var.broker == null ? [] : ["broker"]))
  names     = { bot = var.name, broker = "${var.name}-broker" }
  commands  = { bot = ["serve"], broker = ["broker"] }
  ports     = { bot = 8787, broker = 3001 }

  # Only what terminals reach is behind a load balancer.
  fronted = {
    for process, front in { bot = var.api, broker = var.broker } : process => {
      target_group_arn          = front.target_group_arn
      security_group_id         = front.security_group_id
    } if front != null
  }

  every_setting = {
    COUNTERSIGN_STORE   = "dynamodb://${local.region}/${var.name}"
    COUNTERSIGN_POLICY  = local.policy_file
    COUNTERSIGN_METRICS = "127.0.0.1:9464"
    COUNTERSIGN_LOG     = "json"
    AWS_REGION          = local.region
  }
  api_settings = var.api == null ? {} : {
    COUNTERSIGN_API_LISTEN  = "0.0.0.0:${local.ports.bot}"
    COUNTERSIGN_API_URL     = var.api.url
    COUNTERSIGN_API_PROXIES = join(",", var.api.networks)
  }
  broker_settings = var.broker == null ? {} : {
    COUNTERSIGN_BROKER_LISTEN = "0.0.0.0:${local.ports.broker}"
    COUNTERSIGN_API_PROXIES   = join(",", var.broker.networks)
  }
  # Both have to know it: the bot sends terminals there.
  broker_url = var.broker == null ? {} : { COUNTERSIGN_BROKER_URL = var.broker.url }
  settings = {
    bot = merge(
      local.every_setting,
      { COUNTERSIGN_MFA_SECRETS = "ssm://${local.region}/${var.name}/mfa" },
      local.api_settings,
      local.broker_url,
      var.settings,
    )
    broker = merge(local.every_setting, local.broker_settings, local.broker_url)
  }
  secrets = { bot = var.secrets, broker = try(var.broker.secrets, {}) }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/service"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
  tags              = var.tags
}

# Container Insights stays off: its metrics cost more than the tasks, and the alarms don't need them.
resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = var.tags
}

resource "aws_security_group" "this" {
  for_each = local.processes

  name        = local.names[each.key]
  description = "Countersign: out by HTTPS, and no way in but from a load balancer"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

# Slack, AWS, and what the policy names.
resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = local.processes

  security_group_id = aws_security_group.this[each.key].id
  description       = "HTTPS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  for_each = local.fronted

  security_group_id            = aws_security_group.this[each.key].id
  description                  = "The load balancer"
  ip_protocol                  = "tcp"
  from_port                    = local.ports[each.key]
  to_port                      = local.ports[each.key]
  referenced_security_group_id = each.value.security_group_id
  tags                         = var.tags
}
