#!/bin/sh
# Opens every sealed file in inbox/, and writes down what is wrong with those that cannot be taken.
# POSIX sh, awk, sha256sum, unzip; ssh-keygen and age, or gpg.
#
#   AGENCY=quayside sh check.sh            # CURRENCIES="CNY USD" if the contract has more than CNY
#
# What is good lies in open/NAME/ afterwards, without the lines that are not. What is not stands in refusal.csv, a line
# each: `sh pack.sh refusal refusal.csv next` makes the file that tells the lender. numbers.txt remembers what came.
set -u
export LC_ALL=C
folder=$(dirname "$0")
currencies=" ${CURRENCIES:-CNY} "
mkdir -p open
touch numbers.txt

refuse() { # CODE [LINE COLUMN]
    [ -s refusal.csv ] || echo "file,sha256,at_line,at_column,code" > refusal.csv
    echo "$name,$(sha256sum "$sealed" | cut -c1-64),${2:-},${3:-},$1" >> refusal.csv
    echo "refused $name: $1${2:+, line $2}"
}

verified_by_age() { # what is wrong, or nothing; the plain package in $plain.zip
    ssh-keygen -Y check-novalidate -n consign -s "$sealed.sig" < "$sealed" > /dev/null 2>&1 || { echo tampered; return; }
    ssh-keygen -Y verify -f keys/lender.allowed_signers -I consign -n consign -s "$sealed.sig" < "$sealed" \
        > /dev/null 2>&1 || { echo wrong_signer; return; }
    age -d -i keys/age.key -o "$plain.zip" "$sealed" 2> /dev/null || echo not_for_us
}

verified_by_gpg() {
    gpg --batch --yes --trust-model always --status-file "$plain.status" --output "$plain.zip" --decrypt "$sealed" \
        > /dev/null 2>&1
    if ! grep -q '^\[GNUPG:\] DECRYPTION_OKAY' "$plain.status" || grep -q '^\[GNUPG:\] BADSIG' "$plain.status"; then
        echo tampered
    elif ! grep -q "^\[GNUPG:\] VALIDSIG .*$(cat keys/lender.fingerprint)" "$plain.status"; then
        echo wrong_signer
    fi
    rm -f "$plain.status"
}

sum_holds() { # CONTROL "CUR":"TOTAL",…  TABLE: whether the column's sums are these
    sh "$folder/columns.sh" currency "$1" < "$3" | awk -F, -v stated="$2" '
        function minor(text,    sign, dot, whole, part) {
            sign = sub(/^-/, "", text) ? -1 : 1; whole = text; part = ""; dot = index(text, ".")
            if (dot) { whole = substr(text, 1, dot - 1); part = substr(text, dot + 1) }
            return sign * (whole * 10000 + substr(part "0000", 1, 4))
        }
        { sum[$1] += minor($2) }
        END { gsub(/"/, "", stated); many = split(stated, one, ",")
              for (i = 1; i <= many; i++) { split(one[i], pair, ":"); sum[pair[1]] -= minor(pair[2]) }
              for (currency in sum) if (sum[currency] != 0) exit 1 }'
}

for sealed in inbox/*.zip.age inbox/*.zip.pgp; do
    [ -f "$sealed" ] || continue
    name=$(basename "$sealed")
    kind=$(echo "$name" | cut -d. -f3) number=$(echo "$name" | cut -d. -f5)
    line=$(echo "$name" | cut -d. -f1,3)
    grep -q " $name\$" numbers.txt && continue        # it came before, and was looked at then
    plain="open/${name%.zip.*}"
    rm -rf "$plain" "$plain.zip"

    # the number first: a file whose content is bad has used it all the same
    last=$(awk -v line="$line" '$1 == line && $2 > last { last = $2 } END { print last + 0 }' numbers.txt)
    again=$(awk -v line="$line" -v number="$number" '$1 == line && $2 == number + 0' numbers.txt)
    echo "$line $(echo "$number" | sed 's/^0*//') $name" >> numbers.txt

    case $name in *.age) wrong=$(verified_by_age) ;; *) wrong=$(verified_by_gpg) ;; esac
    if [ -n "$wrong" ]; then rm -f "$plain.zip"; refuse "$wrong"; continue; fi
    if [ -n "$again" ]; then rm -f "$plain.zip"; refuse sequence_repeat; continue; fi

    unzip -q -o "$plain.zip" -d "$plain" || { rm -rf "$plain" "$plain.zip"; refuse not_a_package; continue; }
    rm "$plain.zip"
    manifest=$(tr -d ' \n' < "$plain/datapackage.json") table=$(ls "$plain"/*.csv)
    hash=$(echo "$manifest" | sed -n 's/.*"hash":"sha256:\([0-9a-f]*\)".*/\1/p')
    if [ "$hash" != "$(sha256sum "$table" | cut -c1-64)" ]; then rm -r "$plain"; refuse hash; continue; fi
    control=$(echo "$manifest" | sed -n 's/.*"control":{"field":"\([a-z_]*\)","sums":{\([^}]*\)}.*/\1 \2/p')
    if [ -n "$control" ] && ! sum_holds "${control%% *}" "${control#* }" "$table"; then
        rm -r "$plain"; refuse control_sum; continue
    fi
    if [ "$last" -gt 0 ] && [ "$number" -gt $((last + 1)) ]; then refuse sequence_gap; fi

    # the lines of a placement: an account once, in a currency of the contract
    if [ "$kind" = placement ]; then
        sh "$folder/columns.sh" account currency < "$table" | awk -F, -v known="$currencies" '
            index(known, " " $2 " ") == 0 { print NR, "currency", "not_currency" }
            seen[$1]++ { print NR, "account", "repeated" }' > "$plain.bad"
        while read -r at column code; do refuse "$code" "$at" "$column"; done < "$plain.bad"
        awk 'NR == FNR { bad[$1 + 1]; next } !(FNR in bad)' "$plain.bad" "$table" > "$plain.good"
        [ ! -s "$plain.bad" ] || cp "$plain.good" "$table"
        rm "$plain.bad" "$plain.good"
    fi
    echo "opened $plain"
done
