// Does not get as far as being installed.
actor { assert false };
