"""Where people are paged: the protocol of a pager, and the pagers behind it."""
