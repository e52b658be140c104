"""What a build of the warehouse costs, and what an increment costs on a long history."""
