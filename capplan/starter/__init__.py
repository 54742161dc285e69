"""What ``capplan init`` writes; these files are for people and are not imported."""
