"""The only code that talks to an API server: client, watch, queue, Kopf operators, health, lease."""
