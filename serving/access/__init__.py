"""Who may do what: roles, API keys, OIDC tokens, masks, the audit log and the database roles."""
