/// Asks the web, with a transform function that keeps the status and the body and drops the headers; stores a counter in
/// a stable variable; calls its namesakes on other subnets; prints.
import Debug "mo:core/Debug";
import Text "mo:core/Text";

persistent actor Fetcher {
  type Header = { name : Text; value : Text };
  type Response = { status : Nat; headers : [Header]; body : Blob };
  type Transform = {
    function : shared query { response : Response; context : Blob } -> async Response;
    context : Blob
  };
  type Web = actor {
    http_request : {
      url : Text;
      max_response_bytes : ?Nat64;
      method : { #get; #head; #post };
      headers : [Header];
      body : ?Blob;
      transform : ?Transform
    } -> async Response
  };
  type Peer = actor { inc : () -> async Nat };

  transient let web : Web = actor "aaaaa-aa";
  var count : Nat = 0;

  public query func transform({ response; context } : { response : Response; context : Blob }) : async Response {
    ignore context;
    { response with headers = [] : [Header] }
  };

  public func fetch(url : Text) : async Text {
    Debug.print("fetching " # url);
    let response = await (with cycles = 1_000_000_000_000) web.http_request({
      url;
      max_response_bytes = ?1000;
      method = #post;
      headers = [{ name = "x-asked-by"; value = "a canister" }];
      body = ?Text.encodeUtf8("question");
      transform = ?{ function = transform; context = "" }
    });
    debug_show (response.status) # " " # (switch (Text.decodeUtf8(response.body)) { case (?t) t; case null "?" })
  };

  public func inc() : async Nat { count += 1; count };

  public query func get() : async Nat { count };

  public query func say(text : Text) : async () { Debug.print(text) };

  public func incOf(peer : Principal) : async Nat {
    let other : Peer = actor (debug_show (peer));
    await other.inc()
  };

  public query func http_request(request : { url : Text }) : async {
    status_code : Nat16;
    headers : [(Text, Text)];
    body : Blob
  } {
    { status_code = 200; headers = [("content-type", "text/plain")]; body = Text.encodeUtf8("page at " # request.url) }
  };
};
