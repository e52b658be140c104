"""What is measured, each in a process of its own: started, told when to go, told when to stop."""
