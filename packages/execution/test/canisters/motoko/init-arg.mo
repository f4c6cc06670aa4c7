/// An actor class with an installation argument, kept as a variable.
persistent actor class Greeter(initial : { greeting : Text; times : Nat }) {
  var greeting = initial.greeting;
  let times = initial.times;

  public query func greet(name : Text) : async Text {
    var text = "";
    var i = 0;
    while (i < times) { text #= greeting # ", " # name # "! "; i += 1 };
    text
  };

  public func setGreeting(to : Text) : async () { greeting := to };
}
