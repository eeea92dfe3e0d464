package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// validity stays below the 825 days that some clients accept at most.
const validity = 820 * 24 * time.Hour

// Certificate returns the certificate in dir (tls.crt and tls.key, PEM), and
// makes a self-signed one for hosts, which are names or addresses, at first
// start. One that expires within a month is replaced if it is self-signed, and
// left to its owner if not.
func Certificate(dir string, hosts []string) (tls.Certificate, error) {
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	switch {
	case err == nil && !stale(cert.Leaf):
		return cert, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return cert, fmt.Errorf("load certificate %s: %w", certFile, err)
	}
	certPEM, keyPEM, err := selfSigned(hosts, time.Now())
	if err != nil {
		return cert, fmt.Errorf("make certificate: %w", err)
	}
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(keyFile, keyPEM, 0o600), os.WriteFile(certFile, certPEM, 0o644)); err != nil {
		return cert, fmt.Errorf("store certificate: %w", err)
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// Expiry is the metric that says when a certificate ends.
func Expiry(cert tls.Certificate) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "skybridge_web_certificate_expiry_timestamp_seconds",
		Help: "When the certificate of HTTPS and of SIP over TLS expires, as Unix time. It is read at start.",
	})
	g.Set(float64(cert.Leaf.NotAfter.Unix()))
	return g
}

func stale(leaf *x509.Certificate) bool {
	self := leaf.CheckSignatureFrom(leaf) == nil || leaf.Issuer.String() == leaf.Subject.String()
	return self && time.Until(leaf.NotAfter) < 30*24*time.Hour
}

func selfSigned(hosts []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Skybridge"}, CommonName: hosts[0]},
		NotBefore:             now.Add(-time.Hour), // clocks differ
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // so that it can be installed as the authority for itself
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}
