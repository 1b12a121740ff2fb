locals {
  policy_file = coalesce(var.policy_path, "/etc/countersign/policy.yml")
  mounts      = var.policy == null ? [] : [{ sourceVolume = "policy", containerPath = "/etc/countersign", readOnly = true }]
  # What a container needs beyond its own user: nothing.
  hardened = {
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
  }

  # ECS has nothing like a ConfigMap: a container that ends at once writes the policy where the others only read it. A
  # volume of Fargate belongs to root, so this one runs as root: without a capability, and without a secret.
  write_policy = [for text in(var.policy == null ? [] : [var.policy]) : merge(local.hardened, {
    name             = "policy"
    image            = var.image
    essential        = false
    user             = "0"
    entryPoint       = ["/opt/countersign/bin/python", "-c"]
    command          = ["import os, pathlib; pathlib.Path('/etc/countersign/policy.yml').write_text(os.environ['POLICY'], encoding='utf-8')"]
    environment      = [{ name = "POLICY", value = text }]
    mountPoints      = [for mount in local.mounts : merge(mount, { readOnly = false })]
    logConfiguration = local.logging["bot"]
  })]
  after_policy = [for each in local.write_policy : { containerName = each.name, condition = "SUCCESS" }]

  # What can't start never takes over from what runs: the log names each problem with the fix.
  doctor = merge(local.hardened, {
    name             = "doctor"
    image            = var.image
    essential        = false
    command          = ["doctor", "--start"]
    startTimeout     = 120
    environment      = local.environment["bot"]
    secrets          = local.secret_variables["bot"]
    mountPoints      = local.mounts
    dependsOn        = local.after_policy
    logConfiguration = local.logging["bot"]
  })

  # `doctor` knows what the bot needs. The broker says itself what it lacks, and ends.
  checks = { bot = [local.doctor], broker = [] }
  after_checks = {
    bot    = concat(local.after_policy, [{ containerName = "doctor", condition = "SUCCESS" }])
    broker = local.after_policy
  }

  main = {
    for process in local.processes : process => merge(local.hardened, {
      name      = "countersign"
      image     = var.image
      essential = true
      command   = local.commands[process]
      # It finishes what was acknowledged, within 28 seconds.
      stopTimeout      = 30
      environment      = local.environment[process]
      secrets          = local.secret_variables[process]
      mountPoints      = local.mounts
      portMappings     = contains(keys(local.fronted), process) ? [{ containerPort = local.ports[process], protocol = "tcp" }] : []
      dependsOn        = local.after_checks[process]
      logConfiguration = local.logging[process]
      # Whether the process lives. Not /readyz: with Slack or the store away, ECS would replace tasks that can't start
      # again until Slack is back, and meanwhile no access would end.
      healthCheck = {
        command     = ["CMD", "/opt/countersign/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9464/healthz', timeout=4)"]
        interval    = 30
        timeout     = 5
        retries     = 3
        startPeriod = 60
      }
    })
  }

  environment      = { for process, settings in local.settings : process => [for name, value in settings : { name = name, value = value }] }
  secret_variables = { for process, secrets in local.secrets : process => [for name, arn in secrets : { name = name, valueFrom = arn }] }
  logging = {
    for process, name in local.names : process => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = local.region
        awslogs-stream-prefix = name
      }
    }
  }
}

resource "aws_ecs_task_definition" "this" {
  for_each = local.processes

  family                   = local.names[each.key]
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.process[each.key].arn
  execution_role_arn       = aws_iam_role.start.arn
  container_definitions    = jsonencode(concat(local.write_policy, local.checks[each.key], [local.main[each.key]]))
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.arm64 ? "ARM64" : "X86_64"
  }

  dynamic "volume" {
    for_each = local.mounts
    content {
      name = volume.value.sourceVolume
    }
  }

  lifecycle {
    precondition {
      condition     = (var.policy == null) != (var.policy_path == null)
      error_message = "Set policy, or policy_path if the image has the policy; not both."
    }
  }
}

resource "aws_ecs_service" "this" {
  for_each = local.processes

  name            = local.names[each.key]
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.this[each.key].arn
  desired_count   = var.instances
  launch_type     = "FARGATE"
  # The new tasks run before the old ones stop; a version that doesn't come up is taken back.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = contains(keys(local.fronted), each.key) ? 120 : null
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this[each.key].id]
    assign_public_ip = var.assign_public_ip
  }

  dynamic "load_balancer" {
    for_each = [for process, front in local.fronted : front if process == each.key]
    content {
      target_group_arn = load_balancer.value.target_group_arn
      container_name   = "countersign"
      container_port   = local.ports[each.key]
    }
  }

  # A task that starts before it may read its secrets or its tables would fail, and the deployment with it.
  depends_on = [
    aws_dynamodb_table.this,
    aws_iam_role_policy.store,
    aws_iam_role_policy.key,
    aws_iam_role_policy.secrets,
    aws_iam_role_policy_attachment.start,
    aws_vpc_security_group_egress_rule.https,
  ]
}
