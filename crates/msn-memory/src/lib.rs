//! One memory pool of prototypes: address, read, write, losses and health, on any Burn backend
