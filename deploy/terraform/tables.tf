# The tables of core/stores/schema.py: a test holds these lines against it.
locals {
  tables = {
    requests = {
      key = ["id"]
      indexes = {
        gsi-requester = ["requester", "created_at"]
        gsi-status    = ["status", "created_at"]
        gsi-profile   = ["profile", "created_at"]
      }
    }
    break-glass = {
      key = ["pk"]
      indexes = {
        gsi-invoker = ["invoker", "created_at"]
        gsi-status  = ["status", "created_at"]
        gsi-profile = ["profile", "created_at"]
        gsi-awaits  = ["awaits", "created_at"]
      }
    }
    access = {
      key = ["pk"]
      indexes = {
        gsi-grantee = ["grantee", "created_at"]
        gsi-status  = ["status", "created_at"]
        gsi-profile = ["profile", "created_at"]
        gsi-awaits  = ["awaits", "created_at"]
        gsi-end     = ["stage", "ends"]
        gsi-due     = ["urgency", "due"]
      }
    }
    audit = {
      key     = ["chain", "seq"]
      indexes = { gsi-month = ["month", "at"] }
    }
    outbox = {
      key     = ["chain", "seq"]
      indexes = { gsi-delivery = ["delivery", "due_at"] }
    }
  }

  # Everything else is text.
  number_attributes = ["seq"]

  # The audit trail is never deleted by the clock.
  tables_without_ttl = ["audit"]
}

resource "aws_kms_key" "this" {
  description             = "${var.name}: tables and log"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
  tags                    = var.tags
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_dynamodb_table" "this" {
  for_each = local.tables

  name                        = "${var.name}-${each.key}"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = each.value.key[0]
  range_key                   = try(each.value.key[1], null)
  deletion_protection_enabled = true
  tags                        = var.tags

  dynamic "attribute" {
    for_each = toset(concat(each.value.key, flatten(values(each.value.indexes))))
    content {
      name = attribute.value
      type = contains(local.number_attributes, attribute.value) ? "N" : "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = each.value.indexes
    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value[0]
      range_key       = global_secondary_index.value[1]
      projection_type = "ALL"
    }
  }

  dynamic "ttl" {
    for_each = contains(local.tables_without_ttl, each.key) ? [] : ["ttl"]
    content {
      attribute_name = ttl.value
      enabled        = true
    }
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.this.arn
  }

  lifecycle {
    prevent_destroy = true
  }
}
