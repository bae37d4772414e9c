"""Evidence files: what was judged, in one archive that anybody can check and judge again."""
