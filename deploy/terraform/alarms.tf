# What CloudWatch can see. The metrics of Prometheus see more: deploy/prometheus has alerts for them.
locals {
  actions = var.alarm_topic_arn == null ? [] : [var.alarm_topic_arn]

  # Lines of the log that are worth an alarm; docs/operators.md, Logs, says what each one means.
  log_alarms = {
    revoke-failing = {
      pattern     = "{ $.message = \"revoke_failing on *\" }"
      description = "Access can't be removed: docs/runbooks.md#access-cant-be-removed"
    }
    undecided-click = {
      pattern     = "{ $.message = \"a click could not be decided*\" }"
      description = "The store failed during somebody's click: docs/operators.md#logs"
    }
    not-reconciled = {
      pattern     = "{ $.message = \"*cannot be reconciled*\" }"
      description = "Countersign can neither give nor take a right: docs/operators.md#logs"
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.log_alarms

  name           = "${var.name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.this.name
  pattern        = each.value.pattern

  metric_transformation {
    name      = each.key
    namespace = var.name
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "log" {
  for_each = local.log_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = var.name
  metric_name         = each.key
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  tags                = var.tags
}

# With no instance running, nothing ends.
resource "aws_cloudwatch_metric_alarm" "down" {
  alarm_name          = "${var.name}-down"
  alarm_description   = "No instance runs, so no access ends: docs/runbooks.md#countersign-doesnt-say-whether-access-ends"
  namespace           = "ECS/ContainerInsights"
  metric_name         = "RunningTaskCount"
  dimensions          = { ClusterName = aws_ecs_cluster.this.name, ServiceName = aws_ecs_service.this.name }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "throttled" {
  for_each = aws_dynamodb_table.this

  alarm_name          = "${each.value.name}-throttled"
  alarm_description   = "DynamoDB throttles this table: clicks take longer"
  namespace           = "AWS/DynamoDB"
  metric_name         = "ThrottledRequests"
  dimensions          = { TableName = each.value.name, Operation = "TransactWriteItems" }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  tags                = var.tags
}
