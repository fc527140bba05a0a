"""What authors of connectors test with: the connector contract as functions and as a pytest class."""
