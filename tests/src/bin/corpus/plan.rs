//! What is run: a row for each program in each of its modes.
//!
//! A row says how to run it, who answers, and what it is to be taken for. Only real programs
//! stand here, in the versions that the package managers have.

/// Where a program is from.
#[derive(Clone, Copy)]
pub enum Source {
    /// A package of Debian.
    Debian(&'static str),
    /// A package of PyPI and its version.
    Python(&'static str, &'static str),
    /// A package of npm and its version.
    Npm(&'static str, &'static str),
}

/// Who is at the far end.
#[derive(Clone, Copy)]
pub enum Answering {
    /// The ports are open, and nothing answers.
    Silence,
    /// The registrar of the tests, at port 5060.
    Registrar,
    /// A phone that takes calls at port 5060.
    Calls,
    /// What a shell's command line starts there.
    Shell(&'static str),
}

/// A run to be recorded.
#[derive(Clone, Copy)]
pub struct Planned {
    /// The file's name, without its ending.
    pub name: &'static str,
    /// The program.
    pub program: &'static str,
    /// Where it is from.
    pub source: Source,
    /// The command line, as a shell reads it. It starts in an empty folder, which is its home.
    pub command: &'static str,
    /// Files in that folder.
    pub files: &'static [(&'static str, &'static str)],
    /// Who is at the far end.
    pub answering: Answering,
    /// How long it may take; then it is killed.
    pub seconds: u64,
    /// See [`Run::tool`](sip_filter_tests::corpus::Run::tool).
    pub tool: &'static str,
    /// See [`Run::kind`](sip_filter_tests::corpus::Run::kind).
    pub kind: &'static str,
    /// See [`Run::named_by`](sip_filter_tests::corpus::Run::named_by).
    pub named_by: &'static str,
    /// See [`Run::sure`](sip_filter_tests::corpus::Run::sure).
    pub sure: bool,
    /// See [`Run::note`](sip_filter_tests::corpus::Run::note).
    pub note: &'static str,
}

/// What rows leave out.
const HONEST: Planned = Planned {
    name: "",
    program: "",
    source: Source::Debian(""),
    command: "",
    files: &[],
    answering: Answering::Registrar,
    seconds: 10,
    tool: "",
    kind: "",
    named_by: "",
    sure: false,
    note: "",
};

const SIPVICIOUS: Planned = Planned {
    source: Source::Debian("sipvicious"),
    tool: "sipvicious",
    kind: "scanner",
    named_by: "User-Agent, From tag",
    sure: true,
    ..HONEST
};
const SVMAP: Planned = Planned {
    program: "svmap",
    ..SIPVICIOUS
};
const SVWAR: Planned = Planned {
    program: "svwar",
    ..SIPVICIOUS
};
const SVCRACK: Planned = Planned {
    program: "svcrack",
    ..SIPVICIOUS
};
const NEWEST: Source = Source::Python("sipvicious", "0.3.8");
const OLDEST: Source = Source::Python("sipvicious", "0.3.0");

const SIPSAK: Planned = Planned {
    program: "sipsak",
    source: Source::Debian("sipsak"),
    tool: "sipsak",
    kind: "testtool",
    named_by: "User-Agent",
    sure: true,
    ..HONEST
};
const SIPP: Planned = Planned {
    program: "sipp",
    source: Source::Debian("sip-tester"),
    answering: Answering::Calls,
    tool: "sipp",
    kind: "testtool",
    named_by: "From tag with SIPpTag in it; From user sipp; Subject Performance Test",
    sure: true,
    ..HONEST
};
const NMAP: Planned = Planned {
    program: "nmap",
    source: Source::Debian("nmap"),
    seconds: 30,
    tool: "nmap",
    kind: "scanner",
    sure: true,
    ..HONEST
};

const BARESIP: Planned = Planned {
    program: "baresip",
    source: Source::Debian("baresip-core"),
    files: &[("baresip.config", include_str!("files/baresip.config"))],
    ..HONEST
};
const LINPHONE: Planned = Planned {
    program: "linphonec",
    source: Source::Debian("linphone-cli"),
    files: &[("linphonerc", include_str!("files/linphonerc"))],
    seconds: 15,
    ..HONEST
};
const PJSIP: Planned = Planned {
    program: "pjsua2",
    source: Source::Python("pjsua2-python", "2.15.1.post1"),
    files: &[("pjsua.py", include_str!("files/pjsua.py"))],
    ..HONEST
};
const PYVOIP: Planned = Planned {
    program: "pyVoIP",
    source: Source::Python("pyVoIP", "1.6.8"),
    files: &[("pyvoip.py", include_str!("files/pyvoip.py"))],
    ..HONEST
};
const KAMAILIO: Planned = Planned {
    program: "kamailio",
    source: Source::Debian("kamailio"),
    files: &[
        ("kamailio.cfg", include_str!("files/kamailio.cfg")),
        ("gateways", include_str!("files/gateways")),
    ],
    answering: Answering::Silence,
    seconds: 5,
    ..HONEST
};

/// Every run, in the manifest's order.
pub const RUNS: &[Planned] = &[
    Planned {
        name: "svmap",
        command: "svmap 192.0.2.10",
        ..SVMAP
    },
    Planned {
        name: "svmap-unanswered",
        command: "svmap 192.0.2.10",
        answering: Answering::Silence,
        ..SVMAP
    },
    Planned {
        name: "svmap-compact",
        command: "svmap --enablecompact 192.0.2.10",
        named_by: "From tag, identity 100@1.1.1.1",
        note: "compact header names and no User-Agent",
        ..SVMAP
    },
    Planned {
        name: "svmap-ports",
        command: "svmap -p5060-5065 192.0.2.10",
        note: "the From tag names the port that the packet is for",
        ..SVMAP
    },
    Planned {
        name: "svmap-network",
        command: "svmap --randomize -t 0.05 198.51.100.8/29",
        ..SVMAP
    },
    Planned {
        name: "svmap-ipv6",
        command: "svmap -6 2001:db8::10",
        note: "From and To name the target",
        ..SVMAP
    },
    Planned {
        name: "svmap-invite",
        command: "svmap -m INVITE 192.0.2.10",
        ..SVMAP
    },
    Planned {
        name: "svmap-register",
        command: "svmap -m REGISTER 192.0.2.10",
        ..SVMAP
    },
    Planned {
        name: "svmap-fromname",
        command: "svmap --fromname=office -e 200 192.0.2.10",
        ..SVMAP
    },
    Planned {
        name: "svmap-newest",
        source: NEWEST,
        command: "sipvicious_svmap 192.0.2.10",
        ..SVMAP
    },
    Planned {
        name: "svmap-newest-compact",
        source: NEWEST,
        command: "sipvicious_svmap --enablecompact 192.0.2.10",
        named_by: "From tag, identity 100@1.1.1.1",
        ..SVMAP
    },
    Planned {
        name: "svmap-newest-ipv6",
        source: NEWEST,
        command: "sipvicious_svmap -6 2001:db8::10",
        ..SVMAP
    },
    Planned {
        name: "svmap-newest-invite",
        source: NEWEST,
        command: "sipvicious_svmap -m INVITE 192.0.2.10",
        ..SVMAP
    },
    Planned {
        name: "svmap-oldest",
        source: OLDEST,
        command: "sipvicious_svmap 192.0.2.10",
        ..SVMAP
    },
    Planned {
        name: "svmap-oldest-compact",
        source: OLDEST,
        command: "sipvicious_svmap --enablecompact 192.0.2.10",
        named_by: "From tag, identity 100@1.1.1.1",
        ..SVMAP
    },
    Planned {
        name: "svwar",
        command: "svwar -e100-104 192.0.2.10",
        ..SVWAR
    },
    Planned {
        name: "svwar-register",
        command: "svwar --force -m REGISTER -e100-104 192.0.2.10",
        ..SVWAR
    },
    Planned {
        name: "svwar-invite",
        command: "svwar --force -m INVITE -e100-104 192.0.2.10",
        answering: Answering::Calls,
        ..SVWAR
    },
    Planned {
        name: "svwar-options",
        command: "svwar --force -m OPTIONS -e100-104 192.0.2.10",
        ..SVWAR
    },
    Planned {
        name: "svwar-compact",
        command: "svwar --force --enablecompact -e100-104 192.0.2.10",
        named_by: "From tag",
        note: "compact header names and no User-Agent",
        ..SVWAR
    },
    Planned {
        name: "svwar-ipv6",
        command: "svwar --force -6 -e100-104 2001:db8::10",
        ..SVWAR
    },
    Planned {
        name: "svwar-newest",
        source: NEWEST,
        command: "sipvicious_svwar --force -e100-104 192.0.2.10",
        ..SVWAR
    },
    Planned {
        name: "svwar-newest-invite",
        source: NEWEST,
        command: "sipvicious_svwar --force -m INVITE -e100-104 192.0.2.10",
        answering: Answering::Calls,
        ..SVWAR
    },
    Planned {
        name: "svwar-oldest",
        source: OLDEST,
        command: "sipvicious_svwar --force -e100-104 192.0.2.10",
        ..SVWAR
    },
    Planned {
        name: "svcrack",
        command: "svcrack -u104 -r1000-1003 192.0.2.10",
        ..SVCRACK
    },
    Planned {
        name: "svcrack-reusenonce",
        source: NEWEST,
        command: "sipvicious_svcrack -n -u104 -r1000-1003 192.0.2.10",
        ..SVCRACK
    },
    Planned {
        name: "svcrack-invite",
        command: "svcrack -m INVITE -u104 -r1000-1003 192.0.2.10",
        ..SVCRACK
    },
    Planned {
        name: "svcrack-compact",
        command: "svcrack --enablecompact -u104 -r1000-1003 192.0.2.10",
        named_by: "From tag, Contact sip:123@1.1.1.1",
        ..SVCRACK
    },
    Planned {
        name: "svcrack-ipv6",
        command: "svcrack -6 -u104 -r1000-1003 2001:db8::10",
        ..SVCRACK
    },
    Planned {
        name: "svcrack-newest",
        source: NEWEST,
        command: "sipvicious_svcrack -u104 -r1000-1003 192.0.2.10",
        ..SVCRACK
    },
    Planned {
        name: "svcrack-oldest",
        source: OLDEST,
        command: "sipvicious_svcrack -u104 -r1000-1003 192.0.2.10",
        ..SVCRACK
    },
    Planned {
        name: "svcrash",
        program: "svcrash",
        command: "svcrash -d 192.0.2.10 -p 5060",
        named_by: "User-Agent Telkom Box 2.4",
        note: "a response, which no tool is named from",
        ..SIPVICIOUS
    },
    Planned {
        name: "sipsak-options",
        command: "sipsak -s sip:100@192.0.2.10",
        ..SIPSAK
    },
    Planned {
        name: "sipsak-usrloc",
        command: "sipsak -U -a 1003 -C sip:101@192.0.2.66 -s sip:101@192.0.2.10",
        ..SIPSAK
    },
    Planned {
        name: "sipsak-flood",
        command: "sipsak -F -e 8 -s sip:100@192.0.2.10",
        ..SIPSAK
    },
    Planned {
        name: "sipsak-random",
        command: "sipsak -R -t 3 -s sip:100@192.0.2.10",
        sure: false,
        note: "up to 3 bytes of each packet are replaced at random, whatever they belong to",
        ..SIPSAK
    },
    Planned {
        name: "sipsak-traceroute",
        command: "sipsak -T -s sip:100@192.0.2.10",
        ..SIPSAK
    },
    Planned {
        name: "sipp-uac",
        command: "sipp -sn uac 192.0.2.10 -i 192.0.2.66 -m 2 -r 10 -d 100 -timeout 8 -nostdin",
        ..SIPP
    },
    Planned {
        name: "sipp-regexp",
        command: "sipp -sn regexp 192.0.2.10 -i 192.0.2.66 -m 1 -timeout 8 -nostdin",
        ..SIPP
    },
    Planned {
        name: "sipp-branchc",
        command: "sipp -sn branchc 192.0.2.10 -i 192.0.2.66 -m 1 -timeout 8 -nostdin",
        named_by: "From tag with SIPpTag in it",
        note: "neither the From user sipp nor, in all requests, the Subject",
        answering: Answering::Shell("sipp -sn branchs -i 192.0.2.10 -nostdin"),
        ..SIPP
    },
    Planned {
        name: "nmap-udp-scan",
        command: "nmap -n -Pn -sU -p5060 --max-retries 1 192.0.2.10",
        answering: Answering::Silence,
        tool: "",
        kind: "",
        sure: false,
        note: "empty datagrams, which anything may send to keep a binding open",
        ..NMAP
    },
    Planned {
        name: "nmap-version",
        command: "nmap -n -Pn -sU -sV -p5060 --max-retries 1 192.0.2.10",
        named_by: "request URI sip:nm, branch foo, tag root",
        note: "begins with empty datagrams, ends with a question to a time server",
        ..NMAP
    },
    Planned {
        name: "nmap-sip-methods",
        command: "nmap -n -Pn -sU -p5060 --script sip-methods 192.0.2.10",
        named_by: "User-Agent Nmap NSE",
        ..NMAP
    },
    Planned {
        name: "nmap-sip-enum-users",
        command: "nmap -n -Pn -sU -p5060 --script sip-enum-users --script-args 'sip-enum-users.minext=100,sip-enum-users.maxext=104,sip-enum-users.padding=3' 192.0.2.10",
        named_by: "User-Agent Nmap NSE",
        ..NMAP
    },
    Planned {
        name: "nmap-sip-brute",
        command: "printf '104\\n' >users; printf '1000\\n1001\\n' >passwords; nmap -n -Pn -sU -p5060 --script sip-brute --script-args userdb=users,passdb=passwords,brute.threads=1 192.0.2.10",
        named_by: "User-Agent Nmap NSE",
        ..NMAP
    },
    Planned {
        name: "nmap-sip-call-spoof",
        command: "nmap -n -Pn -sU -p5060 --script sip-call-spoof --script-args sip-call-spoof.extension=101,sip-call-spoof.timeout=1 192.0.2.10",
        answering: Answering::Calls,
        named_by: "Allow with a blank before its first comma, CSeq 1234",
        note: "calls itself Ekiga",
        ..NMAP
    },
    Planned {
        name: "nmap-sip-call-spoof-renamed",
        command: "nmap -n -Pn -sU -p5060 --script sip-call-spoof --script-args 'sip-call-spoof.ua=\"Example Phone 1.0\",sip-call-spoof.from=Desk,sip-call-spoof.extension=101,sip-call-spoof.timeout=1' 192.0.2.10",
        answering: Answering::Calls,
        named_by: "Allow with a blank before its first comma, CSeq 1234",
        ..NMAP
    },
    Planned {
        name: "masscan",
        program: "masscan",
        source: Source::Debian("masscan"),
        command: "masscan -pU:5060 --rate 10 --wait 1 --adapter out0 --adapter-ip 192.0.2.66 --adapter-mac 02-00-00-00-00-01 --router-mac 02-00-00-00-00-02 198.51.100.8/30",
        answering: Answering::Silence,
        tool: "masscan",
        kind: "scanner",
        named_by: "RFC 3261's own OPTIONS example, in part twice",
        sure: true,
        ..HONEST
    },
    Planned {
        name: "zmap",
        program: "zmap",
        source: Source::Debian("zmap"),
        command: "zmap -M udp -p 5060 --probe-args=template:/usr/share/doc/zmap/examples/udp-probes/sip_options.tpl -r 10 -n 4 -c 1 -b /dev/null -i out0 -S 192.0.2.66 -G 02:00:00:00:00:02 198.51.100.8/30",
        answering: Answering::Silence,
        tool: "zmap",
        kind: "scanner",
        named_by: "the shape of its template",
        ..HONEST
    },
    Planned {
        name: "hydra",
        program: "hydra",
        source: Source::Debian("hydra"),
        command: "printf '1000\\n1001\\n' >passwords; hydra -t 1 -l 104 -P passwords sip://192.0.2.10",
        tool: "hydra",
        kind: "cracker",
        named_by: "Call-ID 1337@; no branch, no tag, no User-Agent",
        sure: true,
        ..HONEST
    },
    Planned {
        name: "siprobo",
        program: "siprobo",
        source: Source::Python("siprobo", "1.0.0"),
        command: "python3 -c \"import wave; w = wave.open('a.wav', 'wb'); w.setparams((1, 2, 8000, 0, 'NONE', '')); w.writeframes(bytes(1600))\"; siprobo --host 192.0.2.10 --phone 101 --wav a.wav --ring-timeout 3",
        answering: Answering::Calls,
        note: "calls a number and plays a file",
        ..HONEST
    },
    Planned {
        name: "siprobo-diag",
        program: "siprobo-diag",
        source: Source::Python("siprobo", "1.0.0"),
        command: "siprobo-diag --host 192.0.2.10",
        ..HONEST
    },
    Planned {
        name: "baresip",
        command: "mkdir c && mv baresip.config c/config && echo '<sip:101@192.0.2.10>;auth_pass=1003;regint=60' >c/accounts && baresip -f c -e '/options sip:102@192.0.2.10' -t 3",
        ..BARESIP
    },
    Planned {
        name: "baresip-call",
        command: "mkdir c && mv baresip.config c/config && echo '<sip:101@192.0.2.10>;regint=0' >c/accounts && baresip -f c -e '/dial sip:102@192.0.2.10' -t 3",
        answering: Answering::Calls,
        ..BARESIP
    },
    Planned {
        name: "linphone",
        command: "mkdir -p .local/share/linphone; (sleep 3; echo 'call sip:102@192.0.2.10'; sleep 2; echo terminate; sleep 1; echo quit) | linphonec -c linphonerc",
        ..LINPHONE
    },
    Planned {
        name: "linphone-call",
        command: "mkdir -p .local/share/linphone; (sleep 3; echo 'call sip:102@192.0.2.10'; sleep 2; echo terminate; sleep 1; echo quit) | linphonec -c linphonerc",
        answering: Answering::Calls,
        ..LINPHONE
    },
    Planned {
        name: "twinkle",
        program: "twinkle-console",
        source: Source::Debian("twinkle-console"),
        command: "mkdir .twinkle; printf 'user_name=101\\nuser_domain=192.0.2.10\\nauth_name=101\\nauth_pass=1003\\n' >.twinkle/phone.cfg; (sleep 2; echo 'options sip:102@192.0.2.10'; echo 'call 102'; sleep 3; echo bye; sleep 1; echo quit) | twinkle-console phone.cfg",
        ..HONEST
    },
    Planned {
        name: "pjsip",
        command: "python3 pjsua.py",
        ..PJSIP
    },
    Planned {
        name: "pjsip-call",
        command: "python3 pjsua.py 'Example Phone 1.0'",
        answering: Answering::Calls,
        ..PJSIP
    },
    Planned {
        name: "pyvoip",
        command: "python3 pyvoip.py",
        ..PYVOIP
    },
    Planned {
        name: "sofia-sip-options",
        program: "sip-options",
        source: Source::Debian("sofia-sip-bin"),
        command: "sip-options sip:101@192.0.2.10",
        ..HONEST
    },
    Planned {
        name: "net-sip",
        program: "Net::SIP",
        source: Source::Debian("libnet-sip-perl"),
        command: "perl net-sip.pl",
        files: &[("net-sip.pl", include_str!("files/net-sip.pl"))],
        ..HONEST
    },
    Planned {
        name: "npm-sip",
        program: "sip",
        source: Source::Npm("sip", "0.0.6"),
        command: "node sip.js",
        files: &[("sip.js", include_str!("files/sip.js"))],
        note: "a library; the program that uses it writes all header fields but Via itself",
        ..HONEST
    },
    Planned {
        name: "kamailio-dispatcher",
        command: "kamailio -DD -E -w $PWD -f kamailio.cfg -Y . -A DISPATCHER",
        answering: Answering::Registrar,
        note: "asks every second whether the gateway is there",
        ..KAMAILIO
    },
    Planned {
        name: "kamailio-nathelper",
        command: "(sleep 1; sipsak -U -x 60 -C sip:101@192.0.2.10:5060 -s sip:101@192.0.2.66) & kamailio -DD -E -w $PWD -f kamailio.cfg -Y .",
        note: "keeps the NAT binding of a phone open",
        ..KAMAILIO
    },
    Planned {
        name: "kamailio-nathelper-options",
        command: "(sleep 1; sipsak -U -x 60 -C sip:101@192.0.2.10:5060 -s sip:101@192.0.2.66) & kamailio -DD -E -w $PWD -f kamailio.cfg -Y . -A SIPPING",
        note: "keeps the NAT binding of a phone open by OPTIONS without User-Agent",
        ..KAMAILIO
    },
    Planned {
        name: "kamailio-nathelper-info",
        command: "(sleep 1; sipsak -U -x 60 -C sip:101@192.0.2.10:5060 -s sip:101@192.0.2.66) & kamailio -DD -E -w $PWD -f kamailio.cfg -Y . -A SIPPING -A INFO",
        note: "keeps the NAT binding of a phone open by INFO",
        ..KAMAILIO
    },
    Planned {
        name: "kamailio-relay",
        command: "mkdir c && sed s/192.0.2.66/192.0.2.20/ baresip.config >c/config && echo '<sip:101@192.0.2.10>;regint=0;outbound=\"sip:192.0.2.66\"' >c/accounts && (sleep 1; baresip -f c -e '/dial sip:102@192.0.2.10' -t 3) & kamailio -DD -E -w $PWD -f kamailio.cfg -Y .",
        files: &[
            ("kamailio.cfg", include_str!("files/kamailio.cfg")),
            ("baresip.config", include_str!("files/baresip.config")),
        ],
        answering: Answering::Calls,
        note: "passes on the INVITE of a phone, which sends the rest of its call itself",
        ..KAMAILIO
    },
    Planned {
        name: "sippy-b2bua",
        program: "b2bua_simple",
        source: Source::Python("sippy", "2.5.0"),
        command: "mkdir c && sed s/192.0.2.66/192.0.2.20/ baresip.config >c/config && echo '<sip:101@192.0.2.10>;regint=0;outbound=\"sip:192.0.2.66\"' >c/accounts && (sleep 1; baresip -f c -e '/dial sip:102@192.0.2.10' -t 3) & b2bua_simple -f -l 192.0.2.66 -p 5060 -n 192.0.2.10:5060",
        files: &[("baresip.config", include_str!("files/baresip.config"))],
        answering: Answering::Calls,
        seconds: 6,
        note: "calls on behalf of baresip",
        ..HONEST
    },
];
