output "role_arn" {
  description = "The bot's role: the caller that trust policies of `aws-role` targets name."
  value       = aws_iam_role.bot.arn
}

output "operator_policy_arn" {
  description = "Attach it to the role of those who verify the trail and make reports."
  value       = aws_iam_policy.operator.arn
}

output "store" {
  description = "COUNTERSIGN_STORE, for commands of operators."
  value       = local.settings.COUNTERSIGN_STORE
}

output "table_names" {
  description = "The tables, for backups."
  value       = [for table in aws_dynamodb_table.this : table.name]
}

output "log_group" {
  description = "Where the log is."
  value       = aws_cloudwatch_log_group.this.name
}

output "cluster" {
  description = "The ECS cluster."
  value       = aws_ecs_cluster.this.name
}
