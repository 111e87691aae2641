"""What a probe found: as JSON, a section an experiment, and as one offline page of all that lie in a folder."""
