"""From a request's credentials to an identity and its scopes."""
