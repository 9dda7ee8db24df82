# A phone built with Net::SIP: registers and calls.
use strict;
use warnings;
use Net::SIP;

my $phone = Net::SIP::Simple->new(
    leg       => '192.0.2.66:5060',
    registrar => '192.0.2.10',
    domain    => '192.0.2.10',
    from      => '101',
    auth      => ['101', '1003'],
);
$phone->register;
my $call = $phone->invite('102');
$phone->loop(2);
$call->bye if $call;
$phone->loop(1);
