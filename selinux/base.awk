# From what a module requires (tmp/bartizan.tmp, its source with all macros expanded) the smallest base policy that it can be
# linked with: each class, type, attribute, role and switch declared once, and nothing allowed.
{
	sub(/#.*/, "")
	gsub(/[{};,:]/, " & ")
	for (i = 1; i <= NF; i++) word[++words] = $i
}
END {
	for (at = 1; at <= words; at++) {
		if (word[at] == "require" && word[at + 1] == "{") at = block(at + 2)
		# What the module makes itself, and requires again through its own interfaces.
		else if (word[at] ~ /^(type|attribute|bool|tunable)$/) own[word[at + 1]] = 1
	}
	for (i = 1; i <= classes; i++) print "class " class[i]
	print "sid kernel"
	for (i = 1; i <= classes; i++) print "class " class[i] " {" permissions[class[i]] " }"
	print "sensitivity s0;\ndominance { s0 }"
	for (i = 0; i < 1024; i++) print "category c" i ";"
	print "level s0:c0.c1023;\nmlsconstrain " class[1] " " first[class[1]] " (h1 dom h2);"
	for (i = 1; i <= others; i++) if (!(named[i] in own)) print other[i]
	print "type smallest_t;\nrole smallest_r;\nrole smallest_r types smallest_t;\nallow smallest_t self:" class[1] " " first[class[1]] ";"
	print "user system_u roles { smallest_r" roles " } level s0 range s0 - s0:c0.c1023;"
	print "sid kernel system_u:smallest_r:smallest_t:s0"
}
# One block of requirements; where it ends.
function block(at, kind) {
	for (; word[at] != "}"; at++) {
		kind = word[at]
		if (kind == "class") {
			at = permissions_of(word[at + 1], at + 2)
			continue
		}
		for (at++; word[at] != ";"; at++) if (word[at] != ",") declare(kind, word[at])
	}
	return at
}
function permissions_of(name, at) {
	if (!(name in permissions)) class[++classes] = name
	if (word[at] == "{") at++
	for (; word[at] != ";"; at++)
		if (word[at] != "}" && !((name, word[at]) in known)) {
			known[name, word[at]] = 1
			if (!(name in first)) first[name] = word[at]
			permissions[name] = permissions[name] " " word[at]
		}
	return at
}
function declare(kind, name) {
	if ((kind, name) in known || kind == "sensitivity" || kind == "category") return
	known[kind, name] = 1
	if (kind == "role" && name == "object_r") return
	if (kind == "role") roles = roles " " name
	named[++others] = name
	other[others] = kind " " name (kind == "bool" || kind == "tunable" ? " false" : "") ";"
}
