"""Stands in for the processor before the dashboard: its real files, and the answers of openapi.json from letters held in memory."""
import hashlib, json, re, threading, time, queue, random
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from places import REPOSITORY

FILES = REPOSITORY / "src" / "dlq" / "dashboard"
STATUSES = ["open","acknowledged","retry_waiting","redriving","redriven","failed_again","resolved","parked","discarded"]
UNF = {"open","acknowledged","retry_waiting","redriving","parked"}
TYPES = {".html":"text/html; charset=utf-8",".js":"text/javascript; charset=utf-8",".css":"text/css; charset=utf-8",".svg":"image/svg+xml"}
def iso(ms): return datetime.fromtimestamp(ms/1000, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00","Z")
def now(): return int(time.time()*1000)

def make(i, n, agents=("search","billing","planner","mailer"), causes=None):
    r = random.Random(i)
    causes = causes or CAUSES
    k = int(len(causes) * r.random() ** 2)
    cls, code, stage, message = causes[k]
    at = now() - int((n - i) / n * 86400e3 * 0.97 * (1 if r.random() > .2 else r.random()))
    msg = message.format(a=r.randrange(10**6), b=r.randrange(99))
    tid = f"task-{i:06d}"
    st = r.choices(STATUSES, [70,6,6,1,1,2,8,4,2])[0]
    return dict(id=f"agent.tasks.{agents[i%4]}:{i%4}:{i}", status=st, status_at=iso(at), due_at=iso(now()+1800e3) if st=="retry_waiting" else None, family="stepmill",
      dlq_topic="agent.dlq", dlq_partition=i%4, dlq_offset=i//4, topic=f"agent.tasks.{agents[i%4]}", partition=i%4, offset=i, consumer_group="stepmill-workers",
      task_id=tid, session_id=f"session-{i//7:05d}", agent=agents[i%4], **{"class":cls}, code=code, stage=stage, message=msg, step=r.randrange(6), attempts=r.randrange(1,6),
      redrives=r.choice([0,0,0,1]), retryable=cls!="invalid", first_failed_at=iso(at-40000), failed_at=iso(at), started_at=iso(at-60000), worker="worker-7f9c 1.4.2", schema_id=12,
      value_size=r.randrange(300,9000), value_omitted=None, trace_id="4bf92f3577b34da6a3ce929d0e0e4736", group=hashlib.sha1(f"{cls}{k}".encode()).hexdigest()[:16],
      occurrences=1, sent=0, job=None, assigned=r.choice([None,None,None,"mira"]), newer_id=None, notes=0)
CAUSES = [("timeout","deadline_exceeded","model","The model did not answer within {b} s (request {a})"),("exhausted","http_503","model","Model answered 503 Service Unavailable, 5 attempts; last request {a}"),
 ("invalid","schema","decode","Field “amount” is not a number at byte {a}"),("tool","tool_failed","tool","Tool look_up_invoice: connection refused by 10.0.{b}.{b}:8443"),
 ("limit","steps","loop","The task took more than 24 steps (limit of agent planner), last tool search_{b}"),("tool","bad_arguments","tool","Tool send_mail: property “to” is required"),
 ("internal","lost_cell","state","No cell for step {b} of the task in Redis, nor in agent.events"),("refused","content_filter","model","Finish reason content_filter after {a} tokens")]

class State:
    def __init__(s, n=0, role="admin", letters=None):
        s.letters = letters if letters is not None else [make(i, n) for i in range(n)]
        s.letters.sort(key=lambda l: l["failed_at"], reverse=True)
        s.me = dict(name="mira", kind="token", role=role, masked=False, read_only=False, instance="eu-west", version="0.5.0", redrive_rate_max=500, redrive_cap_max=100000, park_after=2)
        s.jobs, s.actions, s.watchers, s.seen, s.lock = {}, [], [], [], threading.RLock()
        s.hold = False  # a job stops after its first letter until this is false
        s.token, s.value, s.headers = None, None, None
    def emit(s, kind, data):
        for w in list(s.watchers): w.put((kind, data))
    def record(s, kind, letter=None, group=None, job=None, reason=None, detail=None):
        a = dict(id=f"a{len(s.actions)}", kind=kind, at=iso(now()), actor="mira", actor_kind="user", reason=reason, letter=letter, group=group, job=job, detail=detail)
        s.actions.insert(0, a); s.emit("actions", dict(more=False, actions=[dict(id=a["id"], letter=letter, group=group, job=job)])); return a
    def fits(s, l, f):
        if f.get("status") and l["status"] not in f["status"]: return False
        if f.get("text") and not all(w.lower() in json.dumps(l).lower() for w in f["text"].split()): return False
        if f.get("from"):
            m = re.fullmatch(r"(\d+)([mhd])", f["from"])
            if m and l["failed_at"] < iso(now() - int(m[1]) * {"m":6e4,"h":36e5,"d":864e5}[m[2]]): return False
        return all(str(l.get(k)) == v for k, v in f.items() if k in ("class","agent","group","topic","dlq_topic","code","stage","family","task_id","session_id","assigned","job"))
    def select(s, body):
        if "letters" in body: return [l for l in s.letters if l["id"] in set(body["letters"])]
        f = body.get("filter") or {"group": body["group"]}
        return [l for l in s.letters if s.fits(l, f) and ("filter" in body or l["status"] in UNF)]
    def groups(s):
        g = {}
        for l in reversed(s.letters):
            x = g.setdefault(l["group"], dict(fingerprint=l["group"], **{"class":l["class"]}, code=l["code"], stage=l["stage"], pattern=re.sub(r"\d+","#",l["message"] or ""), letters=0, unfinished=0, by_status={k:0 for k in STATUSES},
              first_at=l["failed_at"], last_at=l["failed_at"], example=l["id"], example_message=l["message"], agents={}, topics=[], workers=[], resolved=False, resolved_at=None, returned_at=None, alerted_at=None, assigned=None))
            x["letters"] += 1; x["unfinished"] += l["status"] in UNF; x["by_status"][l["status"]] += 1; x["last_at"] = l["failed_at"]
            x["agents"][l["agent"]] = x["agents"].get(l["agent"],0)+1
        for x in g.values(): x["agents"] = [dict(name=k or "", n=v) for k, v in sorted(x["agents"].items(), key=lambda p: -p[1])]
        return list(g.values())
    def tally(s, k):
        t = {}
        for l in s.letters:
            if l["status"] in UNF: t[l[k]] = t.get(l[k],0)+1
        return [dict(name=str(a), n=b) for a, b in sorted(t.items(), key=lambda p: -p[1])]
    def overview(s):
        unf = [l for l in s.letters if l["status"] in UNF]; t0 = now()-86400000; r = random.Random(4)
        pts, u = [], max(0, len(unf)//4)
        for i in range(96):
            came = sum(1 for l in s.letters if iso(t0+i*900000) <= l["failed_at"] < iso(t0+(i+1)*900000)) if len(s.letters) < 20000 else r.randrange(50)
            fin = min(u, int(came*.3)); u = u+came-fin; pts.append(dict(at=iso(t0+i*900000), came=came, finished=fin, unfinished=u))
        by = {k:0 for k in STATUSES}
        for l in s.letters: by[l["status"]] += 1
        gs = s.groups()
        return {"from":iso(t0),"to":iso(now()),"step_seconds":900,"letters":len(s.letters),"unfinished":len(unf),"groups":len(gs),"groups_unfinished":sum(g["unfinished"]>0 for g in gs),
          "oldest_unfinished_at":min((l["failed_at"] for l in unf), default=None),"by_status":by,"classes":s.tally("class"),"agents":s.tally("agent"),"topics":s.tally("topic"),"families":s.tally("family"),"points":pts,"caught_up":True,"lag":0}
    def task(s, tid):
        l = next((l for l in s.letters if l["task_id"] == tid), None)
        base = now()-3600000
        t = dict(task_id=tid, session_id=l and l["session_id"], agent=l["agent"] if l else "search", parent_task_id=None, trace_id="4bf92f", status="failed", error=l and l["message"], steps=3, tool_calls=2, redrives=0, prompt_tokens=4210, completion_tokens=388, first_at=iso(base), last_at=iso(base+41000), last_seq=5, last_kind="TaskFailed", prompt="Find the invoices of last month and mail the sum to accounting.")
        S = lambda q,k,n,o,tx,p,c,d,at=0: dict(seq=q,kind=k,at=iso(base+q*8000),name=n,outcome=o,text=tx,text_cut=False,prompt_tokens=p,completion_tokens=c,duration_ms=d,attempts=at,calls=1 if k=="ModelAnswered" else 0,span_id=None,topic="agent.events",partition=0,offset=q)
        return dict(task=t, steps=[S(0,"TaskStarted",None,None,t["prompt"],0,0,0),S(1,"ModelAnswered","gpt-4o","tool_calls",None,1830,120,2140),S(2,"ToolAnswered","look_up_invoice","ok",'{"invoices": 14, "sum": "18.204,20 EUR"}',0,0,340),S(3,"ModelAnswered","gpt-4o","tool_calls","I will mail the sum.",2380,268,3920,2),S(4,"ToolAnswered","send_mail","error","connection refused by 10.0.3.3:8443",0,0,30000),S(5,"TaskFailed","tool_failed","tool",l and l["message"],0,0,0)], letters=[l] if l else [], trace_url="https://traces.example/4bf92f")

def run_job(s, job, chosen):
    for l in chosen:
        while job["state"] == "paused" or (s.hold and job["sent"]): time.sleep(.05)
        if job["state"] == "cancelled": return
        time.sleep(1/min(200, job["detail"]["rate"]*4))
        l["status"] = "resolved"; l["job"] = job["id"]; job["sent"] += 1; job["completed"] += 1
        s.record("redriven", letter=l["id"], job=job["id"])
    job["state"] = "finished"; job["ended_at"] = iso(now()); s.record("finished", job=job["id"])

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self,*a): pass
    def out(self, status, body, kind="application/json"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status); self.send_header("Content-Type", kind); self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
        self.end_headers(); self.wfile.write(data)
    def problem(self, status, code, detail): self.out(status, dict(type="about:blank", title=code, status=status, detail=detail, code=code), "application/problem+json")
    def stream(self, s):
        self.send_response(200); self.send_header("Content-Type","text/event-stream"); self.send_header("Connection","close"); self.end_headers()
        q = queue.Queue(); s.watchers.append(q)
        try:
            self.wfile.write(b"event: hello\ndata: {}\n\n"); self.wfile.flush()
            while not self.server.closing:
                try: k, d = q.get(timeout=.3); self.wfile.write(f"event: {k}\ndata: {json.dumps(d)}\n\n".encode())
                except queue.Empty: self.wfile.write(b": beat\n\n")
                self.wfile.flush()
        except OSError: pass
        finally: s.watchers.remove(q); self.close_connection = True
    def do_GET(self):
        s = self.server.state; u = urlsplit(self.path); q = parse_qs(u.query); one = lambda k, d=None: q.get(k,[d])[0]
        if not u.path.startswith("/api/v1"):
            p = FILES / (u.path.strip("/") or "index.html")
            return self.out(200, p.read_bytes(), TYPES[p.suffix]) if p.is_file() else self.problem(404,"not_found","nothing here")
        if s.token and self.headers.get("Authorization") != f"Bearer {s.token}": return self.problem(401, "no_token", "A token is needed here.")
        p = [unquote(x) for x in u.path[8:].split("/")]
        if p[0] == "me": return self.out(200, s.me)
        if p[0] == "events": return self.stream(s)
        if p[0] == "overview": return self.out(200, s.overview())
        if p[0] == "groups":
            g = [x for x in s.groups() if x["unfinished"] or one("unfinished") != "true"]
            if one("text"): g = [x for x in g if one("text").lower() in json.dumps(x).lower()]
            g.sort(key=lambda x: {"count":x["unfinished"],"first":x["first_at"],"last":x["last_at"]}[one("order","count")], reverse=True)
            return self.out(200, dict(items=g[:int(one("limit","50"))], next=None))
        if p[0] == "letters" and len(p) == 1:
            f = {k: v[0] for k, v in q.items() if k != "status"}; f["status"] = q.get("status")
            at, n = int(one("cursor","0")), int(one("limit","50")); page, total = [], 0
            for l in s.letters:
                if s.fits(l, f):
                    if total >= at and len(page) < n: page.append(l)
                    total += 1
            return self.out(200, dict(items=page, next=str(at+n) if total > at+n else None, total=min(total,10000), total_is_more=total>10000))
        if p[0] == "letters":
            l = next((l for l in s.letters if l["id"] == p[1]), None)
            if not l: return self.problem(404,"not_found","There is no such letter.")
            import base64
            v = s.value or {"task_id":l["task_id"],"agent":l["agent"],"prompt":"Find the invoices of last month and mail the sum to accounting.","limits":{"steps":24,"seconds":600},"tags":["monthly",None,True],"budget":12.5}
            raw = base64.b64encode(json.dumps(v).encode()).decode()
            val = dict(size=None,form="masked") if s.me["masked"] else dict(size=l["value_size"],form="json",json=v,base64=raw,schema_id=12,schema_name="agent.AgentTask")
            return self.out(200, dict(letter=l, headers=s.headers or [dict(name="stepmill.class",value=l["class"]),dict(name="__dlq.errors.exception.message",value=l["message"]),dict(name="traceparent",value="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),dict(name="binary",value=None,base64="AAEC/w==")], key=dict(size=12,form="text",text=l["session_id"]), value=val, trace_url="https://traces.example/4bf92f"))
        if p[0] == "actions":
            a = [x for x in s.actions if (not one("letter") or x["letter"]==one("letter")) and (not one("kind") or x["kind"]==one("kind"))]
            return self.out(200, dict(items=a[:int(one("limit","50"))], next=None))
        if p[0] == "redrives" and len(p) == 1: return self.out(200, dict(items=list(reversed(list(s.jobs.values()))), next=None))
        if p[0] == "redrives": return self.out(200, s.jobs[p[1]]) if p[1] in s.jobs else self.problem(404,"not_found","No such job.")
        if p[0] == "tasks" and len(p) == 1:
            return self.out(200, dict(items=[s.task(l["task_id"])["task"] for l in s.letters[:60] if not one("task_id") or one("task_id") in l["task_id"]], next=None))
        if p[0] == "tasks": return self.out(200, s.task(p[1]))
        self.problem(404,"not_found","nothing here")
    def do_POST(self):
        s = self.server.state; b = json.loads(self.rfile.read(int(self.headers["Content-Length"]))); path = self.path[8:]
        s.seen.append((path, b, self.headers.get("Idempotency-Key"), self.headers.get("Content-Type")))
        if path == "redrives/dry-run":
            l = s.select(b); sel = l[:b.get("cap",10**6)]; bad = [x for x in sel if x["class"]=="invalid"]; fin = [x for x in sel if x["status"] not in UNF and x["class"]!="invalid"]
            out = []
            if bad: out.append(dict(reason="schema",text="Today's schema does not take the record.",n=len(bad),example=bad[0]["id"]))
            if fin: out.append(dict(reason="finished",text="It is finished.",n=len(fin),example=fin[0]["id"]))
            return self.out(200, dict(selected=len(sel), more=len(l)>len(sel), eligible=len(sel)-len(bad)-len(fin), ineligible=out))
        if path == "redrives":
            l = [x for x in s.select(b)[:b.get("cap",10**6)] if x["class"]!="invalid" and x["status"] in UNF]
            job = dict(id=f"{len(s.jobs)+1:08x}-0000", state="running", requested_at=iso(now()), ended_at=None, actor="mira", reason=b["reason"], selected=len(l), selected_all=True, sent=0, completed=0, failed_again=0, detail=b)
            s.jobs[job["id"]] = job; s.record("requested", job=job["id"], reason=b["reason"]); threading.Thread(target=run_job, args=(s,job,l), daemon=True).start()
            return self.out(200, dict(id=job["id"], folded=True, job=job))
        m = re.fullmatch(r"redrives/(.+)/(pause|resume|cancel)", path)
        if m: s.jobs[m[1]]["state"] = dict(pause="paused",resume="running",cancel="cancelled")[m[2]]; s.record(m[2], job=m[1]); return self.out(200, dict(id=m[1], folded=True, job=s.jobs[m[1]]))
        if path == "actions":
            k = b["kind"]; done = []
            for l in s.select(b):
                if k in STATUSES: l["status"] = k
                if k == "assigned": l["assigned"] = b.get("assignee")
                done.append(dict(id=s.record(k, letter=l["id"], reason=b.get("reason"), detail=dict(note=b.get("note")))["id"], letter=l["id"], group=None))
            return self.out(200, dict(id="x", actions=done, folded=True))
        self.problem(404,"not_found","nothing here")

class Fake:
    def __init__(self, state, port=0):
        self.state = state; self.port = port; self.start()
    def start(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler); self.server.daemon_threads = True; self.server.closing = False
        self.server.state = self.state; self.port = self.server.server_port; self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(.05,), daemon=True).start()
    def stop(self): self.server.closing = True; self.server.shutdown(); self.server.server_close()
