/// Version 3: one variable changes its type by an explicit migration, another is dropped by it.
import List "mo:core/List";
import Nat "mo:core/Nat";

(
  with migration = func(
    old : { var count : Nat; var total : Int; var trapInPreupgrade : Bool }
  ) : { var count : Text } {
    { var count = Nat.toText(old.count) }
  }
)
persistent actor {
  var count : Text = "";
  let names : List.List<Text> = List.empty();
  transient let sinceUpgrade : Nat = 0;
  var hooks : Text = "";

  public query func get() : async { count : Text; names : [Text]; sinceUpgrade : Nat; hooks : Text } {
    { count; names = List.toArray(names); sinceUpgrade; hooks }
  };

  public query func version() : async Nat { 3 };

  system func preupgrade() { hooks #= "pre3 " };
  system func postupgrade() { hooks #= "post3 " };
}
