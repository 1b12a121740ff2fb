"""AWS IAM Identity Center as a target: account assignments and group memberships."""
