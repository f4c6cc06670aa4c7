/// The HTTP gateway protocol seen from a canister: plain answers, the upgrade to an update call, streaming by callback.
import Blob "mo:core/Blob";
import Nat "mo:core/Nat";
import Text "mo:core/Text";

persistent actor class Http() = self {
  type HeaderField = (Text, Text);
  type Request = { method : Text; url : Text; headers : [HeaderField]; body : Blob; certificate_version : ?Nat16 };
  type Token = { part : Nat; of : Nat };
  type StreamingCallback = shared query Token -> async { body : Blob; token : ?Token };
  type Response = {
    status_code : Nat16;
    headers : [HeaderField];
    body : Blob;
    upgrade : ?Bool;
    streaming_strategy : ?{ #Callback : { callback : StreamingCallback; token : Token } }
  };

  var posts : Nat = 0;

  func answer(status_code : Nat16, text : Text) : Response {
    {
      status_code;
      headers = [("content-type", "text/plain; charset=utf-8")];
      body = Text.encodeUtf8(text);
      upgrade = null;
      streaming_strategy = null
    }
  };

  func part(number : Nat) : Blob { Text.encodeUtf8("part " # Nat.toText(number) # "\n") };

  public query func http_request(request : Request) : async Response {
    let path = switch (Text.split(request.url, #char '?').next()) { case (?p) p; case null "/" };
    if (request.method == "POST") return { answer(200, "") with upgrade = ?true };
    switch path {
      case "/" answer(200, "hello from a canister\n");
      case "/posts" answer(200, Nat.toText(posts));
      case "/redirect" ({ answer(302, "") with headers = [("location", "/")] });
      case "/headers" answer(200, debug_show (request.headers));
      case "/url" answer(200, request.url);
      case "/stream" {
        let token = { part = 1; of = 5 };
        { answer(200, "") with
          body = part(0);
          streaming_strategy = ?#Callback({ callback = self.stream; token }) }
      };
      case _ answer(404, "no such path\n")
    }
  };

  public query func stream(token : Token) : async { body : Blob; token : ?Token } {
    let next = if (token.part + 1 < token.of) ?{ token with part = token.part + 1 } else null;
    { body = part(token.part); token = next }
  };

  public func http_request_update(request : Request) : async Response {
    posts += 1;
    answer(201, request.method # " " # request.url # " " # Nat.toText(request.body.size()) # " bytes, post " # Nat.toText(posts))
  };
}
