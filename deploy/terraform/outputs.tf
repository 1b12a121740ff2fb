output "role_arn" {
  description = "The bot's role: the caller that trust policies of `aws-role` targets name."
  value       = aws_iam_role.process["bot"].arn
}

output "broker_role_arn" {
  description = "The broker's role, for `countersign aws trust-policy PROFILE --broker ARN`. Null without a broker."
  value       = try(aws_iam_role.process["broker"].arn, null)
}

output "operator_policy_arn" {
  description = "Attach it to the role of those who verify the trail and make reports."
  value       = aws_iam_policy.operator.arn
}

output "operator_role_arn" {
  description = "The operator's role. Null without operator_principals."
  value       = try(aws_iam_role.operator[0].arn, null)
}

output "store" {
  description = "COUNTERSIGN_STORE, for commands of operators."
  value       = local.every_setting.COUNTERSIGN_STORE
}

output "table_names" {
  description = "The tables, for backups."
  value       = [for table in aws_dynamodb_table.this : table.name]
}

output "kms_key_arn" {
  description = "The key of the tables and the log."
  value       = aws_kms_key.this.arn
}

output "log_group" {
  description = "Where the log is."
  value       = aws_cloudwatch_log_group.this.name
}

output "cluster" {
  description = "The ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "security_group_ids" {
  description = "The security group of each service: `bot`, and `broker` if there is one."
  value       = { for process, group in aws_security_group.this : process => group.id }
}

output "doctor_command" {
  description = "Runs `countersign doctor` in a task of its own; its lines are in the log. Other commands: change the last word."
  value = join(" ", [
    "aws ecs run-task --region ${local.region} --cluster ${aws_ecs_cluster.this.name} --launch-type FARGATE",
    "--task-definition ${aws_ecs_task_definition.this["bot"].family}",
    "--network-configuration '${jsonencode({ awsvpcConfiguration = {
      subnets        = var.subnet_ids
      securityGroups = [aws_security_group.this["bot"].id]
      assignPublicIp = var.assign_public_ip ? "ENABLED" : "DISABLED"
    } })}'",
    "--overrides '${jsonencode({ containerOverrides = [{ name = "countersign", command = ["doctor"] }] })}'",
  ])
}
