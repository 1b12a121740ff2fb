# The rights are the files that `countersign tables iam` prints, with this region, account and prefix in them.
locals {
  bot_policy = replace(replace(replace(
    file("${path.module}/../iam-policy.json"),
    "REGION", local.region),
    "ACCOUNT_ID", local.account),
    "table/countersign-", "table/${var.name}-",
  )
  operator_policy = replace(replace(replace(
    file("${path.module}/../iam-policy.operator.json"),
    "REGION", local.region),
    "ACCOUNT_ID", local.account),
    "table/countersign-", "table/${var.name}-",
  )
  ssm_secrets    = [for arn in values(var.secrets) : arn if strcontains(arn, ":ssm:")]
  stored_secrets = [for arn in values(var.secrets) : arn if strcontains(arn, ":secretsmanager:")]
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

# What the running bot may do.
resource "aws_iam_role" "bot" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.by_task.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "store" {
  name   = "store"
  role   = aws_iam_role.bot.id
  policy = local.bot_policy
}

resource "aws_iam_role_policy" "more" {
  for_each = var.more_policies

  name   = each.key
  role   = aws_iam_role.bot.id
  policy = each.value
}

# What people need for `countersign tables check`, `audit verify` and `report`: attach it to their role.
resource "aws_iam_policy" "operator" {
  name   = "${var.name}-operator"
  policy = local.operator_policy
  tags   = var.tags
}

# What ECS needs to start a task: the image, the log and the secrets.
resource "aws_iam_role" "start" {
  name               = "${var.name}-start"
  assume_role_policy = data.aws_iam_policy_document.by_task.json
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "start" {
  role       = aws_iam_role.start.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

data "aws_iam_policy_document" "secrets" {
  dynamic "statement" {
    for_each = length(local.ssm_secrets) > 0 ? [local.ssm_secrets] : []
    content {
      actions   = ["ssm:GetParameters"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = length(local.stored_secrets) > 0 ? [local.stored_secrets] : []
    content {
      actions   = ["secretsmanager:GetSecretValue"]
      resources = statement.value
    }
  }
}

resource "aws_iam_role_policy" "secrets" {
  name   = "secrets"
  role   = aws_iam_role.start.id
  policy = data.aws_iam_policy_document.secrets.json
}

# The account's own policies decide about the key; DynamoDB uses it for whoever may use the tables, CloudWatch for the log.
data "aws_iam_policy_document" "key" {
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.this.partition}:iam::${local.account}:root"]
    }
  }

  statement {
    sid       = "Tables"
    actions   = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.bot.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["dynamodb.${local.region}.amazonaws.com"]
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
      values   = ["arn:${data.aws_partition.this.partition}:logs:${local.region}:${local.account}:log-group:/${var.name}/service"]
    }
  }
}
