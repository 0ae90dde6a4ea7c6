"""The courier: fetches, opens, seals and sends models and updates; never sees patient data."""
