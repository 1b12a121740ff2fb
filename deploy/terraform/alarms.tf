# What CloudWatch can see. The metrics of Prometheus see more: deploy/prometheus has alerts for them.
locals {
  actions = var.alarm_topic_arn == null ? [] : [var.alarm_topic_arn]

  # Words of the log that are worth an alarm; a test holds them against what is logged.
  log_alarms = {
    access-not-removed = {
      phrases     = ["revoke_failing on ", "AWS doesn't deny it yet", " has not ended: "]
      description = "Access can't be removed: docs/runbooks.md#access-cant-be-removed"
    }
    not-reconciled = {
      phrases     = ["is due and cannot be reconciled"]
      description = "Countersign can neither give nor take a right: docs/operators.md#logs"
    }
    undecided-click = {
      phrases     = ["a click could not be decided"]
      description = "The store failed during somebody's click: docs/operators.md#logs"
    }
    slack-refuses = {
      phrases     = ["Slack refuses "]
      description = "Slack refuses a token or a call, so people can't decide: docs/operators.md#checking-it-countersign-doctor"
    }
    not-delivered = {
      phrases     = [" is parked after "]
      description = "A notification was given up: docs/operators.md#parked-notifications"
    }
  }

  # Sums over all tables: one alarm for each kind, not five.
  table_alarms = {
    throttled = {
      metrics     = ["ReadThrottleEvents", "WriteThrottleEvents"]
      operation   = {}
      minutes     = 5
      description = "DynamoDB throttles a table: clicks take longer"
    }
    store-failing = {
      metrics     = ["SystemErrors"]
      operation   = { Operation = "TransactWriteItems" }
      minutes     = 5
      description = "DynamoDB fails: docs/operators.md#logs"
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.log_alarms

  name           = "${var.name}-${each.key}"
  log_group_name = aws_cloudwatch_log_group.this.name
  # Any of the phrases, anywhere in the line.
  pattern = join(" ", [for phrase in each.value.phrases : length(each.value.phrases) > 1 ? "?\"${phrase}\"" : "\"${phrase}\""])

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

# With no task running, nothing ends. ECS measures running tasks only, so missing values mean that there is none.
resource "aws_cloudwatch_metric_alarm" "down" {
  for_each = local.processes

  alarm_name          = "${local.names[each.key]}-down"
  alarm_description   = "No task of ${local.names[each.key]} runs: docs/runbooks.md#countersign-doesnt-say-whether-access-ends"
  namespace           = "AWS/ECS"
  metric_name         = "CPUUtilization"
  dimensions          = { ClusterName = aws_ecs_cluster.this.name, ServiceName = aws_ecs_service.this[each.key].name }
  statistic           = "SampleCount"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "tables" {
  for_each = local.table_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
  ok_actions          = local.actions
  tags                = var.tags

  metric_query {
    id          = "all"
    expression  = "SUM(METRICS())"
    label       = each.key
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { for index, pair in setproduct(keys(local.tables), each.value.metrics) : "m${index}" => pair }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/DynamoDB"
        metric_name = metric_query.value[1]
        dimensions  = merge({ TableName = "${var.name}-${metric_query.value[0]}" }, each.value.operation)
        stat        = "Sum"
        period      = 60
      }
    }
  }
}
