"""What `mint.audit` looks for in conversations, one module a kind of finding."""
