"""What is settled before any weight is loaded: settings, plan, dry run, launch."""
