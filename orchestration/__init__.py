"""DAGs for Airflow 3, one task a step, no logic of their own: point its dags_folder here."""
