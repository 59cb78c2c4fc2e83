"""Fields: parts of a record that every source reads the same way: clients, operations, masks, columns."""
