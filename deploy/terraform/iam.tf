# The rights are the files that `countersign tables iam` prints, with this region, account, partition and prefix in them.
locals {
  printed = {
    bot      = file("${path.module}/../iam-policy.json")
    broker   = file("${path.module}/../iam-policy.broker.json")
    operator = file("${path.module}/../iam-policy.operator.json")
  }
  rights = {
    for who, text in local.printed : who => replace(replace(replace(replace(text,
      "arn:aws:", "arn:${local.partition}:"),
      "REGION", local.region),
      "ACCOUNT_ID", local.account),
      "table/countersign-", "table/${var.name}-",
    )
  }

  # ECS takes `ARN:json-key:stage:version` for a secret; rights are about its ARN.
  arns           = concat(values(var.secrets), values(local.secrets.broker))
  parameters     = distinct([for arn in local.arns : arn if strcontains(arn, ":ssm:")])
  stored_secrets = distinct([for arn in local.arns : join(":", slice(split(":", arn), 0, 7)) if strcontains(arn, ":secretsmanager:")])
}

data "aws_iam_policy_document" "by_task" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

# What the running bot may do, and the running broker.
resource "aws_iam_role" "process" {
  for_each = local.processes

  name               = local.names[each.key]
  assume_role_policy = data.aws_iam_policy_document.by_task.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "store" {
  for_each = local.processes

  name   = "store"
  role   = aws_iam_role.process[each.key].id
  policy = local.rights[each.key]
}

# The tables are encrypted with the module's key: each role that uses them needs the key, through DynamoDB only.
data "aws_iam_policy_document" "key_use" {
  statement {
    sid       = "UseTheKeyOfTheTables"
    actions   = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = [aws_kms_key.this.arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["dynamodb.${local.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "key" {
  for_each = local.processes

  name   = "key"
  role   = aws_iam_role.process[each.key].id
  policy = data.aws_iam_policy_document.key_use.json
}

# MFA secrets, one for each person; docs/operators.md, MFA, says how people are enrolled.
data "aws_iam_policy_document" "mfa" {
  statement {
    sid       = "ReadSecondFactors"
    actions   = ["ssm:GetParameter"]
    resources = ["arn:${local.partition}:ssm:${local.region}:${local.account}:parameter/${var.name}/mfa/*"]
  }
}

resource "aws_iam_role_policy" "mfa" {
  name   = "mfa"
  role   = aws_iam_role.process["bot"].id
  policy = data.aws_iam_policy_document.mfa.json
}

resource "aws_iam_role_policy" "more" {
  for_each = var.more_policies

  name   = each.key
  role   = aws_iam_role.process["bot"].id
  policy = each.value
}

resource "aws_iam_role_policy" "broker_more" {
  for_each = try(var.broker.policies, {})

  name   = each.key
  role   = aws_iam_role.process["broker"].id
  policy = each.value
}

# What people need for `countersign tables check`, `audit verify` and `report`.
data "aws_iam_policy_document" "operator" {
  source_policy_documents = [local.rights.operator, data.aws_iam_policy_document.key_use.json]
}

resource "aws_iam_policy" "operator" {
  name        = "${var.name}-operator"
  description = "Verify Countersign's audit trail, make reports, check its tables"
  policy      = data.aws_iam_policy_document.operator.json
  tags        = var.tags
}

data "aws_iam_policy_document" "by_operator" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = var.operator_principals
    }
  }
}

resource "aws_iam_role" "operator" {
  count = length(var.operator_principals) > 0 ? 1 : 0

  name               = "${var.name}-operator"
  assume_role_policy = data.aws_iam_policy_document.by_operator.json
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "operator" {
  count = length(var.operator_principals) > 0 ? 1 : 0

  role       = aws_iam_role.operator[0].name
  policy_arn = aws_iam_policy.operator.arn
}

# What ECS needs to start a task: the image, the log and the secrets. No container gets this role.
resource "aws_iam_role" "start" {
  name               = "${var.name}-start"
  assume_role_policy = data.aws_iam_policy_document.by_task.json
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "start" {
  role       = aws_iam_role.start.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

data "aws_iam_policy_document" "secrets" {
  dynamic "statement" {
    for_each = length(local.parameters) > 0 ? [local.parameters] : []
    content {
      sid       = "ReadParameters"
      actions   = ["ssm:GetParameters"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = length(local.stored_secrets) > 0 ? [local.stored_secrets] : []
    content {
      sid       = "ReadSecrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = length(var.secrets_kms_key_arns) > 0 ? [var.secrets_kms_key_arns] : []
    content {
      sid       = "DecryptThem"
      actions   = ["kms:Decrypt"]
      resources = statement.value
      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["ssm.${local.region}.amazonaws.com", "secretsmanager.${local.region}.amazonaws.com"]
      }
    }
  }
}

resource "aws_iam_role_policy" "secrets" {
  name   = "secrets"
  role   = aws_iam_role.start.id
  policy = data.aws_iam_policy_document.secrets.json
}

# IAM policies decide about the key, as for most resources; CloudWatch uses it for the log.
data "aws_iam_policy_document" "key" {
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }

  statement {
    sid       = "Log"
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DescribeKey"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/${var.name}/service"]
    }
  }
}
