# Countersign on ECS Fargate, in Socket Mode: no load balancer, no public address, no open port.

data "aws_caller_identity" "this" {}
data "aws_region" "this" {}
data "aws_partition" "this" {}

locals {
  region      = data.aws_region.this.name
  account     = data.aws_caller_identity.this.account_id
  policy_path = coalesce(var.policy_path, "/etc/countersign/policy.yml")
  settings = merge({
    COUNTERSIGN_STORE   = "dynamodb://${local.region}/${var.name}"
    COUNTERSIGN_POLICY  = local.policy_path
    COUNTERSIGN_METRICS = "127.0.0.1:9464"
    COUNTERSIGN_LOG     = "json"
    AWS_REGION          = local.region
  }, var.settings)

  log = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.this.name
      awslogs-region        = local.region
      awslogs-stream-prefix = var.name
    }
  }
  settings_list = [for name, value in local.settings : { name = name, value = value }]
  secrets_list  = [for name, arn in var.secrets : { name = name, valueFrom = arn }]
  mounts = [
    { sourceVolume = "policy", containerPath = "/etc/countersign", readOnly = true },
    { sourceVolume = "scratch", containerPath = "/tmp", readOnly = false },
  ]

  # ECS has nothing like a ConfigMap: a container that ends at once writes the policy where the others read it. Volumes of
  # Fargate belong to root, so it runs as root, and opens /tmp to the others, which don't.
  write_policy = {
    name                   = "policy"
    image                  = var.image
    essential              = false
    readonlyRootFilesystem = true
    user                   = "0"
    entryPoint             = ["/opt/countersign/bin/python", "-c"]
    command                = ["import os, pathlib; os.chmod('/tmp', 0o1777); pathlib.Path('/etc/countersign/policy.yml').write_text(os.environ['POLICY'], encoding='utf-8')"]
    environment            = [{ name = "POLICY", value = var.policy }]
    mountPoints            = [for mount in local.mounts : merge(mount, { readOnly = false })]
    logConfiguration       = local.log
  }
  # What can't start never takes over from what runs; the log names each problem with the fix.
  doctor = {
    name                   = "doctor"
    image                  = var.image
    essential              = false
    readonlyRootFilesystem = true
    command                = ["doctor", "--start"]
    environment            = local.settings_list
    secrets                = local.secrets_list
    mountPoints            = local.mounts
    dependsOn              = [{ containerName = "policy", condition = "SUCCESS" }]
    logConfiguration       = local.log
  }
  serve = {
    name                   = "countersign"
    image                  = var.image
    essential              = true
    readonlyRootFilesystem = true
    command                = ["serve"]
    # It finishes what was acknowledged, within 28 seconds.
    stopTimeout      = 30
    environment      = local.settings_list
    secrets          = local.secrets_list
    mountPoints      = local.mounts
    dependsOn        = [{ containerName = "doctor", condition = "SUCCESS" }]
    linuxParameters  = { capabilities = { drop = ["ALL"] } }
    logConfiguration = local.log
    healthCheck = {
      command     = ["CMD", "/opt/countersign/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9464/readyz', timeout=4)"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 30
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/service"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
  tags              = var.tags
}

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = var.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.bot.arn
  execution_role_arn       = aws_iam_role.start.arn
  container_definitions    = jsonencode([local.write_policy, local.doctor, local.serve])
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.arm64 ? "ARM64" : "X86_64"
  }

  volume {
    name = "policy"
  }

  volume {
    name = "scratch"
  }
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "Countersign: out by HTTPS, and no way in"
  vpc_id      = var.vpc_id
  tags        = var.tags

  egress {
    description = "Slack, AWS, and what the policy names"
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_ecs_service" "this" {
  name            = var.name
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.this.arn
  desired_count   = var.instances
  launch_type     = "FARGATE"
  # The new ones run before the old ones stop; a version that doesn't come up is taken back.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  tags                               = var.tags

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = var.assign_public_ip
  }

  depends_on = [aws_dynamodb_table.this, aws_iam_role_policy.store]
}
