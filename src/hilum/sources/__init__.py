"""Where cases come from: each source turns a folder or a table into a cohort of patients' scans."""
