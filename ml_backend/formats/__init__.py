"""Events of videos as other programs' files have them, both ways. What each can hold is in `table`; nothing here knows Label Studio."""
