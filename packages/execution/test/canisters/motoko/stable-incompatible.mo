/// No upgrade of stable-v1: a variable changes its type without a migration. The runtime must refuse and trap.
persistent actor {
  var count : Text = "";

  public query func get() : async Text { count };
}
