// Cannot take over what the counter left.
actor {
  stable var count = "none";
  public query func get() : async Text { count };
};
